"""The outbox in a browser's own database, also when that is full, cut off, or the clock is put back."""

from collections.abc import AsyncIterator
from io import BytesIO
from typing import Any

import pytest_asyncio
from PIL import Image
from playwright.async_api import FilePayload, Playwright

from tests.conftest import Caller
from tests.end_to_end.conftest import Scene
from tests.end_to_end.people import Somebody, chromium, open_page, until

HELPERS = """
  window.outboxes = async () => {
    const { Outbox } = await import('/web/outbox.js');
    const open = async (box) => {
      let durable = true;
      const outbox = new Outbox(box, () => { durable = false; });
      const left = await new Promise((resolve) => outbox.open(resolve));
      return { outbox, left, durable: () => durable };
    };
    const again = async ({ outbox }, box) => {
      outbox.close();
      await new Promise((resolve) => setTimeout(resolve, 200)); // its lock goes with it
      return open(box);
    };
    return { open, again };
  };
  window.say = (text) => ({ kind: 'text', text });
"""


@pytest_asyncio.fixture(loop_scope="session")
async def page(playwright: Playwright, caller: Caller) -> AsyncIterator[Somebody]:
    async with chromium(playwright) as browser:
        somebody = await open_page(browser, f"{caller.url}/v")
        await somebody.page.evaluate(HELPERS)
        yield somebody


async def outcome(page: Somebody, script: str) -> Any:
    return await page.page.evaluate("async () => { const { open, again } = await outboxes(); " + script + "}")


async def test_what_was_answered_does_not_go_out_again_after_the_database_was_full_once(
    page: Somebody,
) -> None:
    assert await outcome(
        page,
        """
        const first = await open('full');
        const add = IDBObjectStore.prototype.add;
        IDBObjectStore.prototype.add = () => { throw new DOMException('full', 'QuotaExceededError'); };
        await first.outbox.add('k1', say('one'), []);
        IDBObjectStore.prototype.add = add;
        const kept = sessionStorage.getItem('full') !== null;
        await first.outbox.answered('k1');
        const { left } = await again(first, 'full');
        return [kept, first.durable(), left.commands.length];
        """,
    ) == [True, False, 0]


async def test_a_connection_that_was_cut_is_made_anew_and_nothing_is_lost(page: Somebody) -> None:
    assert await outcome(
        page,
        """
        const transaction = IDBDatabase.prototype.transaction;
        let database;
        IDBDatabase.prototype.transaction = function (...given) {
          database = this;
          return transaction.apply(this, given);
        };
        const first = await open('cut');
        const bytes = new Uint8Array([1, 2, 3]).buffer;
        await first.outbox.add('k1', say('one'), [{ sha256: 'aa', bytes }]);
        database.close();
        const read = (await first.outbox.bytesOf('aa'))?.byteLength;
        database.close();
        await first.outbox.add('k2', say('two'), []);
        const { left } = await again(first, 'cut');
        return [read, first.durable(), left.commands.map(({ id }) => id)];
        """,
    ) == [3, True, ["k1", "k2"]]


async def test_bytes_that_cannot_be_read_are_told_from_bytes_that_are_not_there(page: Somebody) -> None:
    assert await outcome(
        page,
        """
        const { outbox } = await open('unreadable');
        await outbox.add('k1', say('one'), [{ sha256: 'aa', bytes: new ArrayBuffer(3) }]);
        const gone = await outbox.bytesOf('bb');
        const getAll = IDBObjectStore.prototype.getAll;
        IDBObjectStore.prototype.getAll = () => { throw new DOMException('lost', 'UnknownError'); };
        const unreadable = await outbox.bytesOf('aa').catch((error) => error.name);
        IDBObjectStore.prototype.getAll = getAll;
        return [gone, unreadable, (await outbox.bytesOf('aa')).byteLength];
        """,
    ) == [None, "UnknownError", 3]


async def test_the_order_of_the_taps_holds_when_the_clock_is_put_back_between_them(page: Somebody) -> None:
    assert await outcome(
        page,
        """
        const first = await open('order');
        const now = Date.now;
        await first.outbox.add('k1', say('one'), []);
        Date.now = () => now() - 3600_000;
        await first.outbox.add('k2', say('two'), []);
        Date.now = now;
        const second = await open('order'); // another page has it open as well
        await second.outbox.add('k3', say('three'), []);
        first.outbox.close();
        const { left } = await again(second, 'order');
        return left.commands.map(({ id }) => id);
        """,
    ) == ["k1", "k2", "k3"]


async def test_what_nobody_came_back_for_does_not_fill_the_phone(page: Somebody) -> None:
    assert await outcome(
        page,
        """
        const first = await open('old');
        const now = Date.now;
        Date.now = () => now() - 15 * 86_400_000;
        await first.outbox.add('k1', say('one'), [{ sha256: 'aa', bytes: new ArrayBuffer(3) }]);
        Date.now = now;
        await first.outbox.add('k2', say('two'), []);
        const other = await again(first, 'other');
        const { outbox, left } = await again(other, 'old');
        return [left.commands.map(({ id }) => id), await outbox.bytesOf('aa')];
        """,
    ) == [["k2"], None]


async def test_the_entry_that_names_a_file_is_written_down_before_its_command_is_forgotten(
    playwright: Playwright, scene: Scene
) -> None:
    async with chromium(playwright) as browser:
        phone = await open_page(browser, scene.talk_url("customer"))
        await phone.by("text-input").wait_for()
        await phone.page.evaluate(
            """() => {
              window.written = [];
              const { put, delete: remove } = IDBObjectStore.prototype;
              IDBObjectStore.prototype.put = function (...given) {
                if (this.name === 'files' && given[0].announced !== null) written.push('announced');
                return put.apply(this, given);
              };
              IDBObjectStore.prototype.delete = function (...given) {
                if (this.name === 'commands') written.push('answered');
                return remove.apply(this, given);
              };
            }"""
        )
        image = BytesIO()
        Image.new("RGB", (64, 48)).save(image, "JPEG")
        photo = FilePayload(name="a.jpg", mimeType="image/jpeg", buffer=image.getvalue())
        await phone.by("talk-composer").get_by_test_id("album-input").set_input_files([photo])

        async def both() -> bool:
            return len(await phone.page.evaluate("[...new Set(written)]")) == 2

        await until(both, "the command was answered")
        assert await phone.page.evaluate("written") == ["announced", "answered"]

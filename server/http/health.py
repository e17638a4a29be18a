"""Is it alive, may it be sent people, and what has it been doing (Prometheus)."""

from collections.abc import Iterable

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from media.relay import IS_COMPILED
from server.call_figures import CallFigures
from server.http.operations import ANYONE, Incoming, Operation, operation
from server.http.socket import Sockets
from server.service import Service
from server.timestamps import Timestamps
from server.witnesses import Witnesses
from server.witnessing import ALARMS


class Figures(Collector):
    """What is counted elsewhere, read when someone asks: nothing is counted twice."""

    def __init__(self, service: Service, sockets: Sockets) -> None:
        self._service = service
        self._sockets = sockets

    def collect(self) -> Iterable[Metric]:
        """The figures of now."""
        relay = self._service.relay
        yield GaugeMetricFamily("proofcall_sockets", "WebSockets that are open", self._sockets.count)
        yield GaugeMetricFamily("proofcall_connections", "Media connections", relay.connections)
        yield GaugeMetricFamily(
            "proofcall_packet_path_compiled", "Whether the way of a packet runs compiled", IS_COMPILED
        )
        yield GaugeMetricFamily(
            "proofcall_in_call",
            "People in calls",
            sum(len(case.state.in_call) for case in self._service.cases.live()),
        )
        yield from _figures_of_calls(self._service.calls.figures)
        yield CounterMetricFamily("proofcall_log_entries", "Entries of the log", self._service.log.size)
        datagrams = CounterMetricFamily("proofcall_datagrams", "Datagrams by fate", labels=["fate"])
        for fate, count in relay.datagrams().items():
            datagrams.add_metric([fate], count)
        yield datagrams
        recordings, custody = self._service.recordings, self._service.custody
        segments = CounterMetricFamily(
            "proofcall_segments", "Segments of the journal by fate", labels=["fate"]
        )
        for fate, count in recordings.fates.items():
            segments.add_metric([fate], count)
        yield segments
        yield GaugeMetricFamily(
            "proofcall_segments_waiting_bytes",
            "What of the journal waits for the disk",
            recordings.waiting_bytes,
        )
        yield GaugeMetricFamily(
            "proofcall_cases_waiting",
            "Cases in which something waits for an answer",
            self._service.deadlines.waiting,
        )
        yield GaugeMetricFamily(
            "proofcall_searchable_entries", "Entries that can be found", self._service.search.size
        )
        attachments = CounterMetricFamily(
            "proofcall_attachments", "Attachments and their uploads by fate", labels=["fate"]
        )
        for fate, count in self._service.uploads.fates.items():
            attachments.add_metric([fate], count)
        yield attachments
        yield GaugeMetricFamily(
            "proofcall_uploads_unfinished",
            "Uploads of attachments that are under way",
            self._service.uploads.unfinished,
        )
        refusals = CounterMetricFamily(
            "proofcall_refusals", "Attempts that were refused, by what was kept of them", labels=["fate"]
        )
        for refused, count in custody.refusals.items():
            refusals.add_metric([refused], count)
        yield refusals
        webhooks = self._service.webhooks
        attempts = CounterMetricFamily(
            "proofcall_webhook_attempts", "Attempts to deliver an entry, by fate", labels=["fate"]
        )
        for fate, count in webhooks.fates.items():
            attempts.add_metric([fate], count)
        yield attempts
        letters = GaugeMetricFamily(
            "proofcall_webhook_letters",
            "Entries that could not be delivered yet, or at all",
            labels=["state"],
        )
        letters.add_metric(["waiting"], webhooks.letters.waiting)
        letters.add_metric(["dead"], webhooks.letters.dead)
        yield letters
        yield CounterMetricFamily(
            "proofcall_views_unrecorded",
            "How often people were shown what is theirs though the log could not be written",
            custody.unrecorded,
        )
        yield from _figures_of_witnesses(self._service.witnesses)
        yield from _figures_of_timestamps(self._service.timestamps)
        vouchers = CounterMetricFamily(
            "proofcall_voucher_views", "Looks at vouchers by their public address", labels=["what"]
        )
        for what, count in self._service.vouchers.opened.items():
            vouchers.add_metric([what], count)
        yield vouchers
        erasing = self._service.erasing
        yield CounterMetricFamily("proofcall_erasures", "Erasures that were carried out", erasing.erasures)
        yield GaugeMetricFamily(
            "proofcall_erasures_unfinished",
            "Cases that were erased and of which old bytes are still on the disk",
            erasing.unfinished,
        )
        retained = GaugeMetricFamily(
            "proofcall_retention_cases",
            "Cases of which something was over when it was looked for, by fate",
            labels=["fate"],
        )
        for fate, count in self._service.retention.found.items():
            retained.add_metric([fate], count)
        yield retained
        yield CounterMetricFamily(
            "proofcall_credential_copies",
            "Copies of pictures signed with content credentials",
            self._service.credentials.made,
        )
        yield CounterMetricFamily(
            "proofcall_connections_turned_away",
            "TCP connections to the media port that proved nothing",
            relay.connections_turned_away,
        )


def _figures_of_witnesses(witnesses: Witnesses) -> Iterable[Metric]:
    answers = CounterMetricFamily(
        "proofcall_witness_answers", "Answers of witnesses by kind", labels=["kind"]
    )
    for kind, count in witnesses.answers.items():
        answers.add_metric([kind], count)
    yield answers
    sizes = GaugeMetricFamily(
        "proofcall_witness_cosigned_entries",
        "Entries under the newest checkpoint that a witness has cosigned",
        labels=["witness"],
    )
    alarms = GaugeMetricFamily(
        "proofcall_witness_alarms",
        "1 for a witness that has cosigned more of this log than there is, or another one",
        labels=["witness"],
    )
    for status in witnesses.statuses():
        sizes.add_metric([status.name], status.cosigned_size)
        alarms.add_metric([status.name], status.standing in ALARMS)
    yield sizes
    yield alarms
    yield GaugeMetricFamily(
        "proofcall_cosigned_entries",
        "Entries under the newest checkpoint with the quorum of the witness policy",
        0 if witnesses.cosigned is None else witnesses.cosigned.tree_size,
    )


def _figures_of_timestamps(timestamps: Timestamps) -> Iterable[Metric]:
    attempts = CounterMetricFamily(
        "proofcall_timestamps", "Requests for a time-stamp, by fate", labels=["fate"]
    )
    for fate, count in timestamps.fates.items():
        attempts.add_metric([fate], count)
    yield attempts
    behind = GaugeMetricFamily(
        "proofcall_timestamp_behind_entries",
        "Entries that an authority has not stamped",
        labels=["authority"],
    )
    ahead = GaugeMetricFamily(
        "proofcall_timestamp_ahead_seconds",
        "How far our clock was before that of an authority",
        labels=["authority"],
    )
    for status in timestamps.statuses():
        behind.add_metric([status.source], status.behind)
        if status.ahead is not None:
            ahead.add_metric([status.source], status.ahead.total_seconds())
    yield behind
    yield ahead


def _figures_of_calls(figures: CallFigures) -> Iterable[Metric]:
    estimates = HistogramMetricFamily(
        "proofcall_leg_estimate_bps",
        "What a network was believed to carry, by way, once a second of each person in a call",
        labels=["way"],
    )
    estimates.add_metric(["sent"], figures.sent_estimate_bps.buckets(), figures.sent_estimate_bps.sum)
    estimates.add_metric(
        ["received"], figures.received_estimate_bps.buckets(), figures.received_estimate_bps.sum
    )
    yield estimates
    yield HistogramMetricFamily(
        "proofcall_leg_waiting_seconds",
        "How long what goes to a person waits for its turn, once a second of each",
        buckets=figures.waiting_s.buckets(),
        sum_value=figures.waiting_s.sum,
    )
    pictures = CounterMetricFamily(
        "proofcall_picture_seconds", "For how long people got what of a picture", labels=["picture"]
    )
    shares = HistogramMetricFamily(
        "proofcall_picture_share",
        "Of the time that a person watched others in a stay, how much they got what of it",
        labels=["picture"],
    )
    for picture, seconds in figures.picture_s.items():
        pictures.add_metric([picture], seconds)
        shares.add_metric(
            [picture], figures.picture_shares[picture].buckets(), figures.picture_shares[picture].sum
        )
    yield pictures
    yield shares
    yield HistogramMetricFamily(
        "proofcall_layer_switches",
        "How often another encoding of a picture came in a stay, or another number of its layers",
        buckets=figures.switches.buckets(),
        sum_value=figures.switches.sum,
    )


def operations(service: Service, sockets: Sockets) -> tuple[Operation, ...]:
    """The routes for those who run the service."""
    registry = CollectorRegistry()
    registry.register(Figures(service, sockets))
    PlatformCollector(registry=registry)
    ProcessCollector(registry=registry)

    async def show_health(_: Incoming) -> web.Response:
        """The process is alive"""
        return web.Response(text="ok\n")

    async def show_readiness(_: Incoming) -> web.Response:
        """New people may be sent here"""
        if sockets.draining:
            return web.Response(status=503, text="draining\n")
        if service.log.failed:
            return web.Response(status=503, text="the log cannot be written\n")
        trouble = service.recordings.trouble
        if trouble is not None:
            return web.Response(text=f"ready, but the journal of calls is not kept: {trouble}\n")
        alarm = service.witnesses.trouble
        if alarm is not None:
            return web.Response(text=f"ready, but {alarm}\n")
        trouble = service.timestamps.trouble
        if trouble is not None:
            return web.Response(text=f"ready, but there are no new time-stamps: {trouble}\n")
        return web.Response(text="ready\n")

    async def show_metrics(_: Incoming) -> web.Response:
        """Figures for Prometheus"""
        return web.Response(
            body=generate_latest(registry), headers={"Content-Type": "text/plain; version=0.0.4"}
        )

    return (
        operation("GET", "/healthz", show_health, ANYONE, gives="text/plain"),
        operation("GET", "/readyz", show_readiness, ANYONE, gives="text/plain"),
        operation("GET", "/metrics", show_metrics, ANYONE, gives="text/plain"),
    )

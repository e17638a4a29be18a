// @ts-check
/**
 * Every word that people read, in two languages written separately. The customer is 您, and so is everyone else.
 * An error says what happened, what it means, what to do, and blames nobody.
 */

import { CREDENTIAL_WORDS } from "./credentials.js";

/** @typedef {import("./protocol.js").Language} Language */
/** @typedef {typeof en} Words */

const en = {
  language_name: "English",
  other_language: "中文",
  switch_language: "Switch the language to Chinese",

  role: {
    customer: "Customer",
    courier: "Courier",
    qa: "Quality check",
    dispatch: "Dispatch",
    guest: "Neighbour or guard",
    integrator: "Order system",
    system: "Service",
  },
  you: "You",
  you_object: "you",
  somebody: "Somebody",
  colon: ": ",
  and: ", ",
  full_stop: ". ",

  loading: "Opening your parcel…",
  waybill: "Waybill",
  lobby_title_customer: "Your courier wants to show you the parcel",
  lobby_title_courier: "Show the parcel to the customer",
  lobby_title_guest: "They want to show you the parcel",
  lobby_title_again: "The call goes on. You can come back to it.",
  consent:
    "I agree that the others in this call see and hear me, and that sound and picture of the whole call, the photos taken in it and everything written are recorded, sealed and kept as evidence.",
  why: "Why?",
  why_text:
    "If something is broken or missing, the recording settles it. Sound and picture are kept as the service receives them, from your tap until you leave, and so is each photo taken. All of it is numbered and sealed, so that nobody, not even we, can change a moment of it unnoticed. Quality check can play it back, and each playback is written down. Nothing leaves your phone before you tap.",
  start: "Start the call",
  start_without_camera: "Start without camera",
  continue_here: "Back to the call",
  starting: "One moment…",
  here_now: (/** @type {string} */ names) => `Waiting for you: ${names}`,
  here_nobody_customer: "The courier is not here yet. You can start all the same.",
  here_nobody_courier: "The customer is not here yet. You can start all the same.",
  here_nobody_guest: "Nobody else is here yet. You can start all the same.",
  own_preview: "Your picture",
  own_preview_asking: "Please allow the camera and the microphone.",
  microphone_moves: "Microphone",
  no_picture: "No picture",

  record_before: "Nothing is sent yet",
  record_call: "REC · sound and picture are kept",
  record_broken: "REC interrupted. The call goes on.",
  record_after: "Nothing is sent any more",

  connection: {
    connecting: "Connecting…",
    ready: "Ready",
    connected: "Connected",
    left: "Not in the call",
    reconnecting: "Connection lost. Coming back…",
    offline: "No network. Trying again…",
    ended: "This case has ended",
    bad_link: "This link does not work",
    revoked: "This link was taken back",
    erased: "This case was erased",
    replaced: "Open on another screen",
    outdated: "This page is out of date",
  },
  network: { good: "Good", fair: "Fair", weak: "Weak", silent: "No signal" },
  network_is: (/** @type {string} */ word) => `Network: ${word}`,
  own_network: {
    good: "Your network is good",
    fair: "Your network is fair",
    weak: "Your network is weak. Sound goes on.",
    silent: "Nothing of yours gets through. Coming back…",
  },
  whose: {
    customer: "The customer's",
    courier: "The courier's",
    qa: "Quality check's",
    dispatch: "Dispatch's",
    guest: "The guest's",
  },
  their_network: {
    weak: (/** @type {string} */ whose) => `${whose} network is weak. Sound goes on.`,
    silent: (/** @type {string} */ whose) => `${whose} network is gone. Coming back…`,
  },
  alone_customer: "Waiting for the courier…",
  alone_courier: "Waiting for the customer…",
  alone_guest: "Waiting for the others…",
  their_connection_silent: (/** @type {string} */ name) => `${name} has no signal. Coming back…`,
  their_picture_off: (/** @type {string} */ name) => `${name}: picture is off`,
  standing: {
    stills: "Your network is weak: a picture now and then. Sound goes on.",
    paused: "Picture paused: your network is too weak. Sound goes on.",
  },
  picture_age: (/** @type {number} */ seconds) =>
    seconds < 1 ? "Just now" : seconds < 60 ? `${seconds} s ago` : `${Math.floor(seconds / 60)} min ago`,
  sharp: "Sharper",
  sharp_on: "Sharper on",
  sharp_of: (/** @type {string} */ name) => `Show what ${name} shows in more detail for some seconds`,
  sharp_of_you: "Show your picture in more detail for some seconds",
  tap_for_sound: "Tap for sound",

  mute: "Mute",
  unmute: "Unmute",
  microphone_off: "Microphone is off",
  flip: "Flip",
  shutter: "Take picture",
  shutter_of: (/** @type {string} */ name) => `Take a picture of what ${name} shows`,
  shutter_of_you: "Take a picture of what you show",
  write: "Write",
  hang_up: "Hang up",
  show_large: (/** @type {string} */ name) => `Show ${name} large`,
  close: "Close",
  credentials: CREDENTIAL_WORDS.en,
  conversation: "Conversation",
  conversation_empty: "Nothing has been said yet.",
  type_here: "Write a message",
  send: "Send",
  sending: "Sending…",
  sealing: "Sealing…",
  sealed: (/** @type {string} */ time, /** @type {number} */ number) => `Sealed ${time} · No. ${number}`,
  number: (/** @type {number} */ number) => `No. ${number}`,
  picture_of: (/** @type {string} */ name) => `Picture from ${name}`,

  after_title: (/** @type {number} */ first, /** @type {number} */ last) => `Sealed. No. ${first}–${last}`,
  after_title_none: "You have left the call",
  after_pictures: (/** @type {number} */ count) => (count === 1 ? "1 picture" : `${count} pictures`),
  after_pictures_erased: (/** @type {number} */ count) =>
    count === 1 ? "1 picture was erased" : `${count} pictures were erased`,
  after_no_pictures: "No pictures were taken",
  after_hint: "Everything sealed is safe. You may close this page.",
  rejoin: "Join again",
  ended_title: "This case has ended",
  ended_hint: "Nothing can be added any more. What was sealed stays.",
  ended_hint_erased: "Nothing can be added any more. Some of it was erased; the rest stays.",

  minutes: (/** @type {number} */ minutes, /** @type {number} */ seconds) =>
    minutes > 0 ? `${minutes} min ${seconds} s` : `${seconds} s`,
  unknown_time: "an unknown time",
  metres: (/** @type {number} */ metres) => `${metres} m`,
  kilometres: (/** @type {string} */ kilometres) => `${kilometres} km`,

  notice: {
    bad_link: {
      title: "This link does not work",
      text: "It may have been cut short or have expired. Open it again exactly as it was sent, or ask for a new one.",
    },
    revoked: {
      title: "This link was taken back",
      text: "Whoever sent it has withdrawn it. Ask them for a new one. What was sealed before stays sealed.",
    },
    erased: {
      title: "This case was erased",
      text: "What was said and shown here is not kept any more. A voucher that you have kept still proves what it proved.",
    },
    replaced: {
      title: "Open on another screen",
      text: "The same link was opened somewhere else, and the call went along. You can bring it back here.",
    },
    outdated: {
      title: "This page is out of date",
      text: "The service speaks a newer version by now. Load the page again.",
    },
    offline: {
      title: "No connection",
      text: "The service cannot be reached right now. The page tries again by itself, you need not do anything.",
    },
  },
  use_here: "Use it here",
  reload: "Load again",

  camera: {
    denied: {
      title: "The camera is not allowed",
      text: "The browser keeps camera and microphone shut for this page. Allow both in the browser's or the phone's settings, then try again.",
    },
    missing: {
      title: "No camera found",
      text: "This device shows no camera to the browser. Connect one or use a phone. Without one you can still talk and watch.",
    },
    busy: {
      title: "The camera is in use",
      text: "Another app or call is using it. Close that one, then try again.",
    },
    insecure: {
      title: "No camera on this address",
      text: "Browsers open the camera only on secure pages. Open the link as it was sent, beginning with https.",
    },
    web_view: {
      title: "No camera inside this app",
      text: "This app's built-in browser has no way to the camera. Copy the link and open it in your phone's browser.",
    },
    other: {
      title: "The camera did not start",
      text: "Something went wrong while starting it. Try again; if that does not help, restart the browser.",
    },
  },
  try_again: "Try again",
  copy_link: "Copy the link",
  copied: "Copied",

  refused: {
    case_not_open: "This case has ended. Nothing can be added any more.",
    link_not_live: "This link has expired. Ask for a new one.",
    consent_needed: "Your agreement comes first. Tap “Start the call” once more.",
    not_in_call: "They are not in the call just now. Wait until they are back, then try again.",
    full: "Four people are in the call already. Wait until one has left, then try again.",
    unknown_participant: "That person is not part of this case.",
    not_for_role: "This is not possible with your link.",
    meanwhile: "Somebody was faster: this has changed meanwhile. Look at how it stands now, then decide.",
    wrong_step: "This does not fit any more: things have gone on. Look at how they stand now.",
    quota: "This parcel has no room for more photos and voice notes. Write a message instead.",
    unknown_entry: "What this was about is not open any more. Look at how it stands now.",
    unknown_word: "The service does not know this choice. Load the page again and choose once more.",
    other: "That did not work, and nothing was changed. Try again.",
  },
  alarm:
    "The log on the service is not the one this page had read. It was read anew. Please tell quality check.",

  entry: {
    case_opened: "Case opened",
    link_issued: (/** @type {string} */ name) => `Link for ${name}`,
    link_revoked: (/** @type {string} */ name) => `Link of ${name} taken back`,
    consented: (/** @type {string} */ name) => `${name} agreed`,
    call_started: (/** @type {number} */ call) => `Call ${call} began`,
    joined: (/** @type {string} */ name) => `${name} joined`,
    gap_started: {
      network: (/** @type {string} */ name) => `${name}: no connection`,
      microphone_off: (/** @type {string} */ name) => `${name}: microphone is off`,
      camera_off: (/** @type {string} */ name) => `${name}: picture is off`,
      page_hidden: (/** @type {string} */ name) => `${name}: page is in the background`,
    },
    gap_ended: {
      network: (/** @type {string} */ name, /** @type {string} */ lasted) =>
        `${name}: was without connection for ${lasted}`,
      microphone_off: (/** @type {string} */ name, /** @type {string} */ lasted) =>
        `${name}: microphone was off for ${lasted}`,
      camera_off: (/** @type {string} */ name, /** @type {string} */ lasted) =>
        `${name}: picture was off for ${lasted}`,
      page_hidden: (/** @type {string} */ name, /** @type {string} */ lasted) =>
        `${name}: page was in the background for ${lasted}`,
    },
    call_quality: (
      /** @type {string} */ name,
      /** @type {string} */ sent,
      /** @type {string} */ received,
      /** @type {number} */ gaps,
    ) => `${name}: network lost ${sent} out, ${received} in · ${gaps === 1 ? "1 gap" : `${gaps} gaps`}`,
    left: {
      left: (/** @type {string} */ name) => `${name} left`,
      lost: (/** @type {string} */ name) => `${name} lost the connection`,
      replaced: (/** @type {string} */ name) => `${name} changed the device`,
      interrupted: (/** @type {string} */ name) => `${name}: interrupted by the service`,
      revoked: (/** @type {string} */ name) => `${name}: link taken back`,
      case_ended: (/** @type {string} */ name) => `${name}: case ended`,
    },
    call_ended: (/** @type {string} */ duration) => `Call ended · ${duration}`,
    call_aborted: (/** @type {string} */ duration) =>
      `Call cut off: the service failed · ${duration}. What was sealed until then is kept; the last seconds may be missing.`,
    recorded: (/** @type {number} */ sealed, /** @type {number} */ lost) =>
      `Recorded: ${sealed === 1 ? "1 piece" : `${sealed} pieces`}, ${lost === 0 ? "none lost" : `${lost} lost`}`,
    recording: (/** @type {number} */ sealed, /** @type {number} */ lost) =>
      `Recording: ${sealed === 1 ? "1 piece" : `${sealed} pieces`} so far, ${lost === 0 ? "none lost" : `${lost} lost`}`,
    segment_sealed: (/** @type {string} */ name, /** @type {number} */ segment) =>
      `${name}: piece ${segment} of the recording`,
    segment_lost: (/** @type {string} */ name, /** @type {number} */ segment) =>
      `${name}: piece ${segment} of the recording was lost`,
    hole: (/** @type {string} */ name, /** @type {number} */ pieces, /** @type {string} */ lasted) =>
      `${name}: ${lasted} of the recording lost (${pieces === 1 ? "1 piece" : `${pieces} pieces`})`,
    frame_sealed: (/** @type {string} */ name) => `Picture from ${name}`,
    frame_sealed_you: "Your picture",
    frame_failed: (/** @type {string} */ name) => `No clear picture from ${name} just then. Try again.`,
    viewed: (/** @type {string} */ name, /** @type {number} */ number) => `${name} looked at No. ${number}`,
    viewed_original: (/** @type {string} */ name, /** @type {number} */ number) =>
      `${name} was given the original of No. ${number}`,
    exported: (/** @type {string} */ name) => `${name} exported the package`,
    read: (/** @type {string} */ name, /** @type {string} */ range) => `${name} read the log, No. ${range}`,
    read_live: (/** @type {string} */ name, /** @type {string} */ range) =>
      `${name} opened the log, No. ${range} and on`,
    read_nothing_new: (/** @type {string} */ name) => `${name} came back to the log`,
    played_back: (/** @type {string} */ name, /** @type {string} */ whose, /** @type {number} */ call) =>
      `${name} played back ${whose}, call ${call}`,
    refused: (/** @type {string} */ name, /** @type {string} */ what) =>
      `${name} asked for ${what} and was refused`,
    case_ended: "Case ended",
    erased: "All contents were erased",
    erased_media: "Pictures or recordings were erased",
    body_erased: "Erased",
    hold_set: (/** @type {string} */ name) => `${name} set a legal hold: nothing is erased`,
    hold_lifted: (/** @type {string} */ name, /** @type {number} */ number) =>
      `${name} lifted the legal hold of No. ${number}`,
    photo: (/** @type {string} */ caption) => (caption === "" ? "Photo" : `Photo: ${caption}`),
    voice: (/** @type {string} */ caption) => (caption === "" ? "Voice note" : `Voice note: ${caption}`),
    photo_stored: (/** @type {number} */ number) => `The photo of No. ${number} has arrived and is sealed`,
    voice_stored: (/** @type {number} */ number) =>
      `The voice note of No. ${number} has arrived and is sealed`,
    attachment_refused: (/** @type {number} */ number) =>
      `A file of No. ${number} could not be used. Please send it again.`,
    placed: (/** @type {string} */ name, /** @type {string} */ accuracy) =>
      `${name}: place shared, exact to ${accuracy} m`,
    placed_at: (/** @type {string} */ name, /** @type {string} */ accuracy, /** @type {string} */ distance) =>
      `${name}: place shared, exact to ${accuracy} m · ${distance} from the address`,
    receipt_read: (/** @type {string} */ name, /** @type {number} */ number) =>
      `${name}: read up to No. ${number}`,
    receipt_delivered: (/** @type {string} */ name, /** @type {number} */ number) =>
      `Delivered to ${name} up to No. ${number}`,
    notice_repeated: "No answer yet: the notice went out once more",
    notice_unanswered: "The notice is still without an answer",
    answered: (/** @type {string} */ answer) => `Answer: ${answer}`,
    answer_changed: (/** @type {string} */ answer) => `Answer changed: ${answer}`,
    answer_taken: (/** @type {string} */ name) => `${name} acts on the answer`,
    answer_taken_you: "You act on the answer",
    change_requested: {
      address: (/** @type {string} */ text) => `Asked for another address: ${text}`,
      time: (/** @type {string} */ text) => `Asked for another time: ${text}`,
      person: (/** @type {string} */ text) => `Asked for another person to receive it: ${text}`,
    },
    change_accepted: (/** @type {string} */ name) => `${name}: change accepted`,
    change_declined: (/** @type {string} */ name) => `${name}: change declined`,
    change_withdrawn: (/** @type {string} */ name) => `${name}: change withdrawn`,
    agreed: {
      address: (/** @type {string} */ text) => `Agreed address: ${text}`,
      time: (/** @type {string} */ text) => `Agreed time: ${text}`,
      person: (/** @type {string} */ text) => `Received by, as agreed: ${text}`,
    },
    handed_over: (/** @type {string} */ how) => `Handed over: ${how}`,
    confirmed: "Receipt confirmed",
    confirmed_with: (/** @type {string} */ reservation) =>
      `Receipt confirmed with a reservation: ${reservation}`,
    receipt_refused: (/** @type {string} */ text) => `Receipt refused: ${text}`,
    exception_reported: (/** @type {string} */ problem) => `Problem reported: ${problem}`,
    exception_taken: (/** @type {string} */ name, /** @type {number} */ number) =>
      `${name}: took on problem No. ${number}`,
    exception_decided: (/** @type {number} */ number, /** @type {string} */ decision) =>
      `Decision on problem No. ${number}: ${decision}`,
    exception_acknowledged: (/** @type {string} */ name, /** @type {number} */ number) =>
      `${name}: acknowledged the decision on problem No. ${number}`,
    exception_closed: (/** @type {number} */ number) => `Problem No. ${number} is closed`,
    exception_overdue: (/** @type {number} */ number) =>
      `Problem No. ${number} is overdue: nothing is decided yet`,
    call_rung: (/** @type {string} */ name, /** @type {string} */ names) => `${name} called ${names}`,
    call_declined: (/** @type {string} */ name) => `${name}: call declined`,
    call_missed: (/** @type {string} */ names) => `Call not answered: ${names}`,
    call_missed_you: (/** @type {string} */ name) => `Missed call from ${name}`,
    withheld: "Not shown to your role",
  },

  desk: {
    title: "Quality check",
    cases: "Cases",
    search: "Search",
    search_hint: "Waybill or case number",
    no_cases: "No cases yet. They appear here as soon as one is opened.",
    no_match: "No case fits.",
    choose: "Choose a case on the left.",
    live: "Live",
    open: "Open",
    ended: "Done",
    pictures: (/** @type {number} */ count) => (count === 1 ? "1 picture" : `${count} pictures`),
    group_live: (/** @type {number} */ count) => `${count} live`,
    group_open: (/** @type {number} */ count) => `${count} open`,
    group_ended: (/** @type {number} */ count) => `${count} done`,
    erased_case: "Erased case",
    list_unreachable: "The list cannot be reached. Trying again…",
    desk_expired_title: "Your desk link has expired",
    desk_expired_text: "Ask for a new one. Nothing is lost.",
    join_live: "Join live",
    join_title: "Join the call",
    join_text: "The others are told that quality check is here, and it is written in the log.",
    join_watch: "Watch only",
    join_voice: "With microphone",
    join_camera: "With camera",
    nobody_in_call: "Nobody is in the call.",
    in_call: (/** @type {string} */ names) => `In the call: ${names}`,
    leave: "Leave",
    log: "Log",
    all_kinds: "Everything",
    only_pictures: "Pictures",
    only_words: "Words",
    only_recording: "Recording",
    only_custody: "Who looked",
    newest: "Newest",
    facts: "Facts",
    parties: "People",
    online: "here",
    away: "away",
    export: "Export",
    exporting: (/** @type {number} */ percent) => (percent ? `Exporting, ${percent} %` : "Exporting…"),
    export_failed: "The package could not be made. Try again.",
    end_case: "End case",
    end_title: "End this case?",
    end_text:
      "Everybody leaves the call and nothing can be added any more. The log stays readable. This cannot be undone.",
    end_now: "End it",
    cancel: "Cancel",
    shortcuts: "Shortcuts",
    shortcut: {
      next: "next and previous entry",
      next_case: "next and previous case",
      shutter: "take a picture of the chosen person",
      person: "choose a person",
      search: "search cases",
      write: "write a message",
      join: "join live or leave",
      mute: "microphone on and off",
      newest: "newest entry",
      close: "close what is open",
      help: "show these",
      play: "when playing back: play and pause",
      frame: "when playing back: one frame back, one on",
      skip: "when playing back: 5 s back, 5 s on",
      speed: "when playing back: slower, faster",
      sound: "when playing back: the chosen person's sound",
      listen: "play back the newest call",
    },
    entry_facts: (/** @type {number} */ number) => `Entry ${number}`,
    nothing_chosen: "Choose an entry of the log to see it whole, with its proof.",
    recorded_at: "Recorded",
    pressed_at: "Pressed",
    arrived_at: "Arrived",
    entry_hash: "Entry",
    picture_hash: "Picture",
    packets: "Packets",
    packets_text: (/** @type {number} */ count, /** @type {number} */ first, /** @type {number} */ last) =>
      `${count} of RTP, ${first}–${last}`,
    size: "Size",
    codec: "Codec",
    actor: "By",
    statement: "Agreed to",
    text: "Text",
    traffic: "Traffic",
    traffic_text: (/** @type {number} */ sent, /** @type {number} */ received, /** @type {number} */ lost) =>
      `${sent} packets sent, ${received} received, ${lost} lost`,
    network: "Network",
    rate: "kbit/s",
    loss: "Loss",
    estimate: "Carries",
    round_trip_of: (/** @type {string} */ lasted) => `Round trip ${lasted}`,
    watches: (/** @type {string} */ whose) => `Sees ${whose}`,
    watches_you: "Sees you",
    encoding: { low: "low", mid: "middle", high: "full" },
    encoding_only: "one size",
    layers: (/** @type {number} */ layers) =>
      /** @type {string} */ (["slow", "half as fluent"][layers - 1] ?? "fluent"),
    picture: { live: "moving", stills: "stills", paused: "paused" },
    layer_reason: {
      best: "the best there is",
      network: "no more fits their network",
      shared: "shared between those they watch",
      switching: "changing with the next whole picture",
      not_sent: "nothing else is sent",
    },
    limit: {
      start: "not measured yet",
      delay: "queues grew on the way",
      loss: "too much was lost",
      silence: "their browser stopped answering",
      receiver: "their browser asks for no more",
      demand: "nobody needed more",
    },
    limit_of: (/** @type {string} */ reason) => `Held by: ${reason}`,
    round_trip: "Round trip",
    freezes: "Freezes",
    way_sent: "Sends",
    way_received: "Receives",
    freezes_text: (/** @type {number} */ count, /** @type {number} */ seconds) =>
      count === 0 ? "0" : `${count} · ${seconds.toFixed(1)} s`,
    began_at: "Began",
    lasted: "Lasted",
    gaps: "Gaps",
    gaps_text: (/** @type {number} */ count, /** @type {string} */ lasted) =>
      count === 0 ? "none" : `${count} · ${lasted}`,
    round_trip_text: (/** @type {number} */ median, /** @type {number} */ max) =>
      `${median} ms median, ${max} ms at most`,
    way_text: (
      /** @type {number} */ packets,
      /** @type {string} */ size,
      /** @type {string} */ loss,
      /** @type {number} */ repaired,
      /** @type {number} */ lost,
    ) => `${packets} packets, ${size} · ${loss} lost on the way: ${repaired} repaired, ${lost} not`,
    claim: "Page's word",
    claim_text: (
      /** @type {number} */ frames,
      /** @type {string} */ frozen,
      /** @type {string} */ concealed,
    ) =>
      `${frames} pictures shown · freezes: ${frozen} · ${concealed} of the sound made up. Not checked by anybody.`,
    picture_loading: "Loading the picture…",
    picture_failed: "The picture could not be loaded. Choose the entry again to try once more.",
    hash_hint: "Show the whole hash",
    proof: "Proof, checked in this browser",
    proof_sum: (/** @type {number} */ passed, /** @type {number} */ all) => `${passed} of ${all}`,
    step: {
      envelope: "Envelope gives the entry's hash",
      chain: "Unbroken chain from No. 1",
      body: "Content opens the commitment",
      inclusion: "Entry is in the log",
      signature: "Log's signature holds",
      blob: "Picture has its hash",
      piece: "Piece has its hash",
    },
    step_state: {
      waiting: "waiting",
      running: "checking…",
      passed: "holds",
      failed: "does not hold",
      unavailable: "cannot be checked here",
    },
    step_reason: {
      insecure_page: "this page is not on HTTPS, so the browser gives it no cryptography",
      withheld: "the content is not shown to your role",
      erased: "the content was erased",
      no_proof: "there was no proof to go with it",
      no_ed25519: "this browser knows no Ed25519",
      unreachable: "the service did not answer",
      piece_stays:
        "pieces are not sent to this page. The package holds them, and proofcall verify checks them",
    },
    key_note: "The log's key was noted when this browser first saw it.",
    looked: "Who looked",
    looked_nobody: "Nobody yet.",
    looked_count: (/** @type {number} */ count) => (count === 1 ? "1 time" : `${count} times`),
    looked_refused: (/** @type {number} */ count) => `${count} refused`,
    authenticated: "Came with",
    authenticated_by: { link: "a link", desk: "a desk link", api_key: "the API key" },
    asked_for: "Asked for",
    refused_what: {
      hello: "the log",
      list_entries: "the log",
      show_case: "the case",
      prove_entry: "a proof",
      get_blob: "a picture",
      list_calls: "the recordings",
      stream_playback: "a playback",
      play_back: "a playback",
      export_case: "the package",
      end_case: "the end of the case",
      issue_link: "a link",
      revoke_link: "a link to be taken back",
      connect_media: "the call",
    },
    refused_reason: {
      expired: "the link had expired",
      revoked: "the link had been taken back",
      other_case: "the link is for another case",
      not_for_role: "not for this role",
    },
    reason: "Reason",
    call: "Call",
    pieces: "Pieces",
    piece_range: (/** @type {number} */ first, /** @type {number} */ last) =>
      first === last ? `piece ${first}` : `pieces ${first}–${last}`,
    streams: "Streams",
    stream_text: (/** @type {string} */ codec, /** @type {string} */ media, /** @type {number} */ packets) =>
      `${media} ${codec} · ${packets} packets`,
    media: { audio: "sound", video: "picture" },
    piece_hash: "Piece",
    ended_at: "Ended",
    lost_reason: {
      overloaded: "the disk was too slow",
      not_stored: "the disk refused it",
      not_describable: "it could not be described",
    },
    player: {
      open: (/** @type {number} */ call) => `Play back call ${call}`,
      open_running: (/** @type {number} */ call) => `Call ${call}: finished parts`,
      running: "still running",
      aborted: "cut off",
      lost_pieces: (/** @type {number} */ count) => (count === 1 ? "1 piece lost" : `${count} pieces lost`),
      calls: "Recorded calls",
      play: "Play",
      pause: "Pause",
      back: "Frame back",
      on: "Frame on",
      speed: "Speed",
      position: "Position in the call",
      clock: (/** @type {string} */ clock, /** @type {string} */ position, /** @type {string} */ whole) =>
        `${clock} · ${position} / ${whole}`,
      mute: (/** @type {string} */ name) => `${name}: sound off`,
      unmute: (/** @type {string} */ name) => `${name}: sound on`,
      choose: (/** @type {string} */ name) => `Choose the picture of ${name}`,
      press_play: "Press play. It is written down that you looked.",
      listing: "Looking for the recordings…",
      unreachable: "The recordings cannot be listed right now. Trying again…",
      erased: "recording erased",
      nothing_erased: "The recording of this call was erased. The log says when, and why.",
      nothing: "Nothing of this call was recorded. Nobody had sent anything, or all of it was lost.",
      assembling: "Being put together…",
      buffering: "Loading…",
      absent: "Not in the call at this moment",
      lost: "Lost: this moment was not kept",
      no_picture: "Sound only",
      failed:
        "This recording cannot be played right now. Try again; if that does not help, check the package.",
      unfinished: "Still being recorded. It can be played when the call has ended.",
      up_to_here: "Recorded up to here. Play again for what has come since.",
      recorded: "Recorded",
      hole: (/** @type {string} */ clock, /** @type {string} */ lasted) => `${clock} · ${lasted} lost`,
      sources: "Played from",
      source: (/** @type {string} */ pieces, /** @type {number} */ first, /** @type {number} */ last) =>
        first === last ? `${pieces}, sealed as No. ${first}` : `${pieces}, sealed as No. ${first} to ${last}`,
      source_now: (/** @type {number} */ segment, /** @type {number} */ number) =>
        `Now: piece ${segment} · No. ${number}`,
      all_pieces: (/** @type {number} */ count) =>
        count === 1 ? "Show the piece" : `Show all ${count} pieces`,
      hide_pieces: "Hide the pieces",
    },
  },
};

/** @type {Words} */
const zh = {
  language_name: "中文",
  other_language: "English",
  switch_language: "切换为英文",

  role: {
    customer: "客户",
    courier: "快递员",
    qa: "质检",
    dispatch: "调度",
    guest: "代收人",
    integrator: "订单系统",
    system: "系统",
  },
  you: "您",
  you_object: "您",
  somebody: "有人",
  colon: "：",
  and: "、",
  full_stop: "。",

  loading: "正在打开您的包裹…",
  waybill: "运单",
  lobby_title_customer: "快递员请您视频查看包裹",
  lobby_title_courier: "视频向客户展示包裹",
  lobby_title_guest: "请您视频协助查看包裹",
  lobby_title_again: "通话还在进行，您可以随时回来。",
  consent:
    "我同意：通话中的其他人可以看到我的画面、听到我的声音；本次通话全程录音录像，录音录像、通话中拍下的照片和写下的文字将被封存，作为证据保存。",
  why: "为什么？",
  why_text:
    "万一有破损或缺件，录音录像可以说明情况。从您点击开始到离开通话，系统会按收到的原样保存声音和画面，拍下的照片也会保存。所有内容都会编号并封存，任何人（包括我们）改动都会被发现。质检可以回放，每次回放都有记录。在您点击之前，手机不会发送任何内容。",
  start: "开始通话",
  start_without_camera: "不开摄像头，直接开始",
  continue_here: "回到通话",
  starting: "请稍候…",
  here_now: (names) => `${names}正在等您`,
  here_nobody_customer: "快递员还没到，您可以先开始。",
  here_nobody_courier: "客户还没到，您可以先开始。",
  here_nobody_guest: "其他人还没到，您可以先开始。",
  own_preview: "您的画面",
  own_preview_asking: "请允许使用摄像头和麦克风",
  microphone_moves: "麦克风",
  no_picture: "没有画面",

  record_before: "尚未发送任何内容",
  record_call: "录制中 · 声音和画面都会保存",
  record_broken: "录制暂时中断，通话不受影响",
  record_after: "已停止发送",

  connection: {
    connecting: "正在连接…",
    ready: "已就绪",
    connected: "已接通",
    left: "未在通话中",
    reconnecting: "连接中断，正在恢复…",
    offline: "没有网络，正在重试…",
    ended: "本单已结束",
    bad_link: "链接无法使用",
    revoked: "链接已被收回",
    erased: "本单内容已删除",
    replaced: "已在别处打开",
    outdated: "页面版本过旧",
  },
  network: { good: "良好", fair: "一般", weak: "较弱", silent: "无信号" },
  network_is: (word) => `网络${word}`,
  own_network: {
    good: "您的网络良好",
    fair: "您的网络一般",
    weak: "您的网络较弱，声音不会断。",
    silent: "您的画面和声音暂时传不出去，正在恢复…",
  },
  whose: { customer: "客户的", courier: "快递员的", qa: "质检的", dispatch: "调度的", guest: "代收人的" },
  their_network: {
    weak: (whose) => `${whose}网络较弱，声音不会断。`,
    silent: (whose) => `${whose}网络中断，正在恢复…`,
  },
  alone_customer: "等待快递员加入…",
  alone_courier: "等待客户加入…",
  alone_guest: "正在等待其他人…",
  their_connection_silent: (name) => `${name}信号中断，正在恢复…`,
  their_picture_off: (name) => `${name}的画面已关闭`,
  standing: {
    stills: "您的网络较弱，画面隔几秒更新一次，声音不会断。",
    paused: "您的网络太弱，画面已暂停，声音不会断。",
  },
  picture_age: (seconds) =>
    seconds < 1 ? "刚刚" : seconds < 60 ? `${seconds} 秒前` : `${Math.floor(seconds / 60)} 分钟前`,
  sharp: "更清晰",
  sharp_on: "清晰优先中",
  sharp_of: (name) => `让${name}的画面在几秒内更清晰`,
  sharp_of_you: "让您的画面在几秒内更清晰",
  tap_for_sound: "点击打开声音",

  mute: "静音",
  unmute: "开麦",
  microphone_off: "麦克风已关",
  flip: "翻转",
  shutter: "拍照",
  shutter_of: (name) => `拍下${name}展示的画面`,
  shutter_of_you: "拍下您展示的画面",
  write: "文字",
  hang_up: "挂断",
  show_large: (name) => `放大${name}的画面`,
  close: "关闭",
  credentials: CREDENTIAL_WORDS.zh,
  conversation: "对话",
  conversation_empty: "还没有内容。",
  type_here: "输入文字",
  send: "发送",
  sending: "发送中…",
  sealing: "封存中…",
  sealed: (time, number) => `已封存 ${time} · 第 ${number} 号`,
  number: (number) => `第 ${number} 号`,
  picture_of: (name) => `${name}的画面`,

  after_title: (first, last) => `已封存 第 ${first}–${last} 号`,
  after_title_none: "您已离开通话",
  after_pictures: (count) => `${count} 张照片`,
  after_pictures_erased: (count) => `${count} 张照片已删除`,
  after_no_pictures: "没有拍照",
  after_hint: "内容均已妥善封存，您可以关闭此页。",
  rejoin: "重新加入",
  ended_title: "本单已结束",
  ended_hint: "不能再添加内容，已封存的内容会一直保留。",
  ended_hint_erased: "不能再添加内容，部分内容已删除，其余会保留。",

  minutes: (minutes, seconds) => (minutes > 0 ? `${minutes} 分 ${seconds} 秒` : `${seconds} 秒`),
  unknown_time: "时长不明",
  metres: (metres) => `${metres} 米`,
  kilometres: (kilometres) => `${kilometres} 公里`,

  notice: {
    bad_link: {
      title: "链接无法使用",
      text: "链接可能不完整或已过期。请按收到的原样重新打开，或请对方再发一个。",
    },
    revoked: {
      title: "链接已被收回",
      text: "发送方收回了这个链接，请向对方索取新链接。之前封存的内容不受影响。",
    },
    erased: {
      title: "本单内容已删除",
      text: "此前的对话与画面已不再保留。您自己保存的凭证仍然有效。",
    },
    replaced: {
      title: "已在别处打开",
      text: "同一个链接在另一处打开了，通话也转到了那里。您可以把它转回这里。",
    },
    outdated: { title: "页面版本过旧", text: "服务已经更新，请重新载入页面。" },
    offline: { title: "连接不上", text: "暂时无法连接服务。页面会自动重试，您无需操作。" },
  },
  use_here: "转到这里",
  reload: "重新载入",

  camera: {
    denied: {
      title: "摄像头未获允许",
      text: "浏览器没有对本页开放摄像头和麦克风。请在浏览器或手机设置中允许，然后重试。",
    },
    missing: {
      title: "没有找到摄像头",
      text: "这台设备没有可用的摄像头。请连接摄像头或改用手机；不开摄像头也可以通话和观看。",
    },
    busy: { title: "摄像头正被占用", text: "其他应用或电话正在使用摄像头。请先关闭，然后重试。" },
    insecure: {
      title: "此地址不能使用摄像头",
      text: "浏览器只在安全页面开放摄像头。请打开收到的原链接（以 https 开头）。",
    },
    web_view: {
      title: "此应用内不能使用摄像头",
      text: "应用自带的浏览器无法使用摄像头。请复制链接，在手机浏览器中打开。",
    },
    other: { title: "摄像头没有启动", text: "启动时出了问题。请重试；仍然不行的话，请重启浏览器。" },
  },
  try_again: "重试",
  copy_link: "复制链接",
  copied: "已复制",

  refused: {
    case_not_open: "本单已结束，不能再添加内容。",
    link_not_live: "链接已过期，请向对方索取新链接。",
    consent_needed: "需要先征得您的同意，请再点一次“开始通话”。",
    not_in_call: "对方暂时不在通话中，请等对方回来后再试。",
    full: "通话已有四人，请等有人离开后再试。",
    unknown_participant: "此人不在本单中。",
    not_for_role: "您的链接不能进行此操作。",
    meanwhile: "有人先一步更新了内容，请查看最新情况后再决定。",
    wrong_step: "情况已有进展，此操作不再适用。请查看最新情况。",
    quota: "本单的照片和语音已满，请改用文字说明。",
    unknown_entry: "所涉及的内容已不再有效，请查看最新情况。",
    unknown_word: "服务无法识别此选项，请重新载入页面后再选。",
    other: "没有成功，内容未受影响。请重试。",
  },
  alarm: "服务上的记录与本页读到的不一致，已重新读取。请告知质检。",

  entry: {
    case_opened: "建单",
    link_issued: (name) => `发出链接：${name}`,
    link_revoked: (name) => `收回链接：${name}`,
    consented: (name) => `${name}已同意`,
    call_started: (call) => `第 ${call} 次通话开始`,
    joined: (name) => `${name}加入通话`,
    gap_started: {
      network: (name) => `${name}：连接中断`,
      microphone_off: (name) => `${name}：麦克风已关`,
      camera_off: (name) => `${name}：画面已关`,
      page_hidden: (name) => `${name}：页面在后台`,
    },
    gap_ended: {
      network: (name, lasted) => `${name}：曾断线，${lasted}`,
      microphone_off: (name, lasted) => `${name}：麦克风曾关闭，${lasted}`,
      camera_off: (name, lasted) => `${name}：画面曾关闭，${lasted}`,
      page_hidden: (name, lasted) => `${name}：页面曾在后台，${lasted}`,
    },
    call_quality: (name, sent, received, gaps) =>
      `${name}：网络丢包 上行 ${sent}，下行 ${received} · 中断 ${gaps} 次`,
    left: {
      left: (name) => `${name}离开通话`,
      lost: (name) => `${name}连接中断`,
      replaced: (name) => `${name}更换了设备`,
      interrupted: (name) => `${name}：服务中断`,
      revoked: (name) => `${name}：链接被收回`,
      case_ended: (name) => `${name}：本单结束`,
    },
    call_ended: (duration) => `通话结束 · ${duration}`,
    call_aborted: (duration) => `通话因服务故障中断 · ${duration}。此前已封存的录制仍在，最后几秒可能缺失。`,
    recorded: (sealed, lost) => `已录制 ${sealed} 段，${lost === 0 ? "没有缺失" : `缺失 ${lost} 段`}`,
    recording: (sealed, lost) =>
      `录制中，已封存 ${sealed} 段，${lost === 0 ? "没有缺失" : `缺失 ${lost} 段`}`,
    segment_sealed: (name, segment) => `${name}：录制第 ${segment} 段`,
    segment_lost: (name, segment) => `${name}：录制第 ${segment} 段缺失`,
    hole: (name, pieces, lasted) => `${name}：录制缺失 ${lasted}（${pieces} 段）`,
    frame_sealed: (name) => `照片：${name}的画面`,
    frame_sealed_you: "照片：您的画面",
    frame_failed: (name) => `刚才没有取到${name}的清晰画面，请再拍一次。`,
    viewed: (name, number) => `${name}查看了第 ${number} 号`,
    viewed_original: (name, number) => `${name}取得了第 ${number} 号的原件`,
    exported: (name) => `${name}导出了证据包`,
    read: (name, range) => `${name}查阅了日志第 ${range} 号`,
    read_live: (name, range) => `${name}打开了日志，第 ${range} 号及之后`,
    read_nothing_new: (name) => `${name}重新打开了日志`,
    played_back: (name, whose, call) => `${name}回放了第 ${call} 次通话中${whose}的录制`,
    refused: (name, what) => `已拒绝${name}：${what}`,
    case_ended: "本单结束",
    erased: "全部内容已删除",
    erased_media: "照片或录制已删除",
    body_erased: "已删除",
    hold_set: (name) => `${name}设置了证据保全：不得删除`,
    hold_lifted: (name, number) => `${name}解除了第 ${number} 号证据保全`,
    photo: (caption) => (caption === "" ? "照片" : `照片：${caption}`),
    voice: (caption) => (caption === "" ? "语音" : `语音：${caption}`),
    photo_stored: (number) => `第 ${number} 号的照片已收到并封存`,
    voice_stored: (number) => `第 ${number} 号的语音已收到并封存`,
    attachment_refused: (number) => `第 ${number} 号的文件无法使用，请重新发送`,
    placed: (name, accuracy) => `${name}的位置，误差约 ${accuracy} 米`,
    placed_at: (name, accuracy, distance) => `${name}的位置，误差约 ${accuracy} 米 · 距收件地址 ${distance}`,
    receipt_read: (name, number) => `${name}已读到第 ${number} 号`,
    receipt_delivered: (name, number) => `已送达${name}，到第 ${number} 号`,
    notice_repeated: "还没有回复，已再次通知",
    notice_unanswered: "通知仍未得到回复",
    answered: (answer) => `回复：${answer}`,
    answer_changed: (answer) => `回复改为：${answer}`,
    answer_taken: (name) => `${name}正按此回复办理`,
    answer_taken_you: "您正按此回复办理",
    change_requested: {
      address: (text) => `请求更改地址：${text}`,
      time: (text) => `请求更改时间：${text}`,
      person: (text) => `请求更换收件人：${text}`,
    },
    change_accepted: (name) => `${name}同意更改`,
    change_declined: (name) => `${name}未能同意更改`,
    change_withdrawn: (name) => `${name}撤回了更改`,
    agreed: {
      address: (text) => `约定地址：${text}`,
      time: (text) => `约定时间：${text}`,
      person: (text) => `约定收件人：${text}`,
    },
    handed_over: (how) => `已交付：${how}`,
    confirmed: "已确认收货",
    confirmed_with: (reservation) => `已确认收货，保留意见：${reservation}`,
    receipt_refused: (text) => `已拒收：${text}`,
    exception_reported: (problem) => `报告异常：${problem}`,
    exception_taken: (name, number) => `${name}接手处理第 ${number} 号异常`,
    exception_decided: (number, decision) => `第 ${number} 号异常的处理决定：${decision}`,
    exception_acknowledged: (name, number) => `${name}已知悉第 ${number} 号异常的处理决定`,
    exception_closed: (number) => `第 ${number} 号异常已办结`,
    exception_overdue: (number) => `第 ${number} 号异常已超时，尚未作出决定`,
    call_rung: (name, names) => `${name}呼叫了${names}`,
    call_declined: (name) => `${name}拒接了来电`,
    call_missed: (names) => `呼叫未接听：${names}`,
    call_missed_you: (name) => `${name}的未接来电`,
    withheld: "您的角色不可见",
  },

  desk: {
    title: "质检台",
    cases: "案件",
    search: "搜索",
    search_hint: "运单号或案件号",
    no_cases: "还没有案件，新建后会出现在这里。",
    no_match: "没有符合的案件。",
    choose: "请在左侧选择案件。",
    live: "通话中",
    open: "待处理",
    ended: "已结束",
    pictures: (count) => `${count} 张照片`,
    group_live: (count) => `${count} 个通话中`,
    group_open: (count) => `${count} 个待处理`,
    group_ended: (count) => `${count} 个已结束`,
    erased_case: "已删除的案件",
    list_unreachable: "暂时取不到列表，正在重试…",
    desk_expired_title: "质检台链接已过期",
    desk_expired_text: "请索取新链接，数据不会丢失。",
    join_live: "加入通话",
    join_title: "加入通话",
    join_text: "其他人会看到质检已加入，并记入日志。",
    join_watch: "只观看",
    join_voice: "开麦克风",
    join_camera: "开摄像头",
    nobody_in_call: "通话中没有人。",
    in_call: (names) => `通话中：${names}`,
    leave: "离开",
    log: "日志",
    all_kinds: "全部",
    only_pictures: "照片",
    only_words: "文字",
    only_recording: "录制",
    only_custody: "查阅记录",
    newest: "最新",
    facts: "详情",
    parties: "参与人",
    online: "在线",
    away: "不在线",
    export: "导出",
    exporting: (/** @type {number} */ percent) => (percent ? `正在导出 ${percent}%` : "正在导出…"),
    export_failed: "证据包没有生成，请重试。",
    end_case: "结束本单",
    end_title: "要结束本单吗？",
    end_text: "所有人将离开通话，之后不能再添加内容；日志仍可查看。此操作不能撤销。",
    end_now: "结束",
    cancel: "取消",
    shortcuts: "快捷键",
    shortcut: {
      next: "下一条、上一条日志",
      next_case: "下一个、上一个案件",
      shutter: "拍下所选画面",
      person: "选择画面",
      search: "搜索案件",
      write: "输入文字",
      join: "加入或离开通话",
      mute: "开关麦克风",
      newest: "最新一条",
      close: "关闭当前窗口",
      help: "显示快捷键",
      play: "回放时：播放、暂停",
      frame: "回放时：上一帧、下一帧",
      skip: "回放时：后退、前进 5 秒",
      speed: "回放时：减速、加速",
      sound: "回放时：开关所选人的声音",
      listen: "回放最近一次通话",
    },
    entry_facts: (number) => `第 ${number} 条`,
    nothing_chosen: "在日志中选择一条，即可查看全文和证明。",
    recorded_at: "记录",
    pressed_at: "按下快门",
    arrived_at: "画面到达",
    entry_hash: "条目哈希",
    picture_hash: "照片哈希",
    packets: "数据包",
    packets_text: (count, first, last) => `RTP 共 ${count} 个，序号 ${first}–${last}`,
    size: "尺寸",
    codec: "编码",
    actor: "操作人",
    statement: "同意内容",
    text: "文字",
    traffic: "流量",
    traffic_text: (sent, received, lost) => `发送 ${sent} 包，接收 ${received} 包，丢失 ${lost} 包`,
    network: "网络",
    rate: "千比特/秒",
    loss: "丢包",
    estimate: "可承载",
    round_trip_of: (lasted) => `往返 ${lasted}`,
    watches: (whose) => `看${whose}`,
    watches_you: "看您",
    encoding: { low: "低清", mid: "中清", high: "原画" },
    encoding_only: "单一画质",
    layers: (layers) => ["较慢", "半流畅"][layers - 1] ?? "流畅",
    picture: { live: "实时", stills: "逐张", paused: "已暂停" },
    layer_reason: {
      best: "已是最佳",
      network: "其网络承载不了更多",
      shared: "需与同看的其他人分摊",
      switching: "下一整帧起切换",
      not_sent: "没有其他画质在发送",
    },
    limit: {
      start: "尚未测得",
      delay: "途中排队变长",
      loss: "丢包过多",
      silence: "其浏览器没有回报",
      receiver: "其浏览器要求不超过此值",
      demand: "没有更多需要",
    },
    limit_of: (reason) => `受限于：${reason}`,
    round_trip: "往返",
    freezes: "卡顿",
    way_sent: "上行",
    way_received: "下行",
    freezes_text: (count, seconds) => (count === 0 ? "0" : `${count} · ${seconds.toFixed(1)} 秒`),
    began_at: "开始",
    lasted: "持续",
    gaps: "中断",
    gaps_text: (count, lasted) => (count === 0 ? "没有" : `${count} 次 · ${lasted}`),
    round_trip_text: (median, max) => `中位 ${median} 毫秒，最长 ${max} 毫秒`,
    way_text: (packets, size, loss, repaired, lost) =>
      `${packets} 包，${size} · 途中丢失 ${loss}：补回 ${repaired} 包，未补回 ${lost} 包`,
    claim: "页面自述",
    claim_text: (frames, frozen, concealed) =>
      `显示画面 ${frames} 帧 · 卡顿 ${frozen} · 声音补全 ${concealed}。未经核实。`,
    picture_loading: "正在载入照片…",
    picture_failed: "照片没有载入。请重新选择这一条再试。",
    hash_hint: "显示完整哈希",
    proof: "证明（在本浏览器中核验）",
    proof_sum: (passed, all) => `${passed} / ${all}`,
    step: {
      envelope: "信封与条目哈希一致",
      chain: "自第 1 条起链条完整",
      body: "内容与承诺值一致",
      inclusion: "条目在总日志之中",
      signature: "总日志签名有效",
      blob: "照片与哈希一致",
      piece: "录制段与哈希一致",
    },
    step_state: {
      waiting: "等待",
      running: "核验中…",
      passed: "通过",
      failed: "不通过",
      unavailable: "此处无法核验",
    },
    step_reason: {
      insecure_page: "本页不是 HTTPS，浏览器不提供密码运算",
      withheld: "内容对您的角色不可见",
      erased: "内容已删除",
      no_proof: "没有可用的证明",
      no_ed25519: "此浏览器不支持 Ed25519",
      unreachable: "服务没有回应",
      piece_stays: "录制段不发送到本页，证据包中包含，可用 proofcall verify 核验",
    },
    key_note: "日志公钥为本浏览器首次见到时记下的。",
    looked: "查阅记录",
    looked_nobody: "还没有人查阅。",
    looked_count: (count) => `${count} 次`,
    looked_refused: (count) => `拒绝 ${count} 次`,
    authenticated: "凭据",
    authenticated_by: { link: "个人链接", desk: "质检台链接", api_key: "接口密钥" },
    asked_for: "请求内容",
    refused_what: {
      hello: "查阅日志",
      list_entries: "查阅日志",
      show_case: "查看案件",
      prove_entry: "获取证明",
      get_blob: "查看照片",
      list_calls: "查看录制",
      stream_playback: "回放通话",
      play_back: "回放通话",
      export_case: "导出证据包",
      end_case: "结束本单",
      issue_link: "发出链接",
      revoke_link: "收回链接",
      connect_media: "加入通话",
    },
    refused_reason: {
      expired: "链接已过期",
      revoked: "链接已被收回",
      other_case: "链接属于另一案件",
      not_for_role: "此角色无权操作",
    },
    reason: "原因",
    call: "通话",
    pieces: "录制段",
    piece_range: (first, last) => (first === last ? `第 ${first} 段` : `第 ${first}–${last} 段`),
    streams: "媒体流",
    stream_text: (codec, media, packets) => `${media} ${codec} · ${packets} 包`,
    media: { audio: "声音", video: "画面" },
    piece_hash: "录制段哈希",
    ended_at: "结束",
    lost_reason: {
      overloaded: "磁盘写入过慢",
      not_stored: "磁盘拒绝写入",
      not_describable: "无法描述其内容",
    },
    player: {
      open: (call) => `回放第 ${call} 次通话`,
      open_running: (call) => `第 ${call} 次通话：已完成的部分`,
      running: "仍在进行",
      aborted: "异常中断",
      lost_pieces: (count) => `缺失 ${count} 段`,
      calls: "已录制的通话",
      play: "播放",
      pause: "暂停",
      back: "上一帧",
      on: "下一帧",
      speed: "速度",
      position: "通话中的位置",
      clock: (clock, position, whole) => `时间 ${clock} · ${position} / ${whole}`,
      mute: (name) => `关闭${name}的声音`,
      unmute: (name) => `打开${name}的声音`,
      choose: (name) => `选择${name}的画面`,
      press_play: "点击播放即可观看，本次查阅会被记录。",
      listing: "正在查找录制…",
      unreachable: "暂时取不到录制列表，正在重试…",
      erased: "录制已删除",
      nothing_erased: "这次通话的录制已删除，删除的时间和原因见日志。",
      nothing: "这次通话没有录制内容：无人发送过声音或画面，或全部缺失。",
      assembling: "正在拼接录制…",
      buffering: "正在载入…",
      absent: "此刻不在通话中",
      lost: "此刻的录制已缺失",
      no_picture: "只有声音",
      failed: "这段录制暂时无法播放，请重试；仍不行时，请导出证据包核验。",
      unfinished: "仍在录制，通话结束后即可回放。",
      up_to_here: "录制到此为止。再次播放可观看之后的内容。",
      recorded: "已录制",
      hole: (clock, lasted) => `${clock} · 缺失 ${lasted}`,
      sources: "回放来源",
      source: (pieces, first, last) =>
        first === last
          ? `来自${pieces}，封存为第 ${first} 号`
          : `来自${pieces}，封存为第 ${first} 至 ${last} 号`,
      source_now: (segment, number) => `当前：第 ${segment} 段 · 第 ${number} 号`,
      all_pieces: (count) => `显示全部 ${count} 段`,
      hide_pieces: "收起",
    },
  },
};

/** @type {Readonly<Record<Language, Words>>} */
export const WORDS = Object.freeze({ en, zh });

/** @param {readonly string[]} preferred the browser's languages, best first @returns {Language} */
export function languageOf(preferred) {
  for (const tag of preferred) {
    if (/^zh\b/i.test(tag)) return "zh";
    if (/^en\b/i.test(tag)) return "en";
  }
  return "en";
}

/** The language that these words are of. @param {Words} words @returns {Language} */
export function languageIn(words) {
  return words === WORDS.zh ? "zh" : "en";
}

/** The time zone that times are shown in where nothing else is said; undefined: the device's own. @type {string | undefined} */
let zone;

/** From now on times are those at the case. @param {string | undefined} time_zone IANA's name */
export function showTimesIn(time_zone) {
  zone = time_zone;
}

/**
 * Hours, minutes and seconds; at the case, or of a time zone by its IANA name.
 * @param {string | number} time
 * @param {string} [time_zone]
 */
export function clockTime(time, time_zone = zone) {
  const { hour, minute, second } = partsOf(time, time_zone);
  return hour === undefined ? "" : `${hour}:${minute}:${second}`;
}

/** Hours and minutes at the case. @param {string | number} time */
export function shortTime(time) {
  return clockTime(time).slice(0, 5);
}

/** The day at the case. @param {string | number} time @returns {string} 2026-11-22 */
export function dayOf(time) {
  const { year, month, day } = partsOf(time, zone);
  return year === undefined ? "" : `${year}-${month}-${day}`;
}

/** The day at the case as people say it. @param {string | number} time @param {Language} language */
export function dayName(time, language) {
  const how = formatOf(zone).resolvedOptions();
  return new Intl.DateTimeFormat(language === "zh" ? "zh-CN" : "en-GB", {
    timeZone: how.timeZone,
    weekday: "long",
    month: "long",
    day: "numeric",
  }).format(new Date(time));
}

/** Date and time with milliseconds, at the case or of a time zone. @param {string} time @param {string} [time_zone] */
export function fullTime(time, time_zone = zone) {
  const { year, month, day, hour } = partsOf(time, time_zone);
  if (hour === undefined) return "";
  const milliseconds = String(new Date(time).getMilliseconds()).padStart(3, "0");
  return `${year}-${month}-${day} ${clockTime(time, time_zone)}.${milliseconds}`;
}

/** @type {Map<string | undefined, Intl.DateTimeFormat>} made once: each costs as much as drawing a row */
const formats = new Map();

/** @param {string | number} time @param {string | undefined} time_zone @returns {Partial<Record<string, string>>} */
function partsOf(time, time_zone) {
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return {};
  let format = formats.get(time_zone);
  if (!format) {
    format = formatOf(time_zone);
    formats.set(time_zone, format);
  }
  return Object.fromEntries(format.formatToParts(date).map(({ type, value }) => [type, value]));
}

/** @param {string | undefined} time_zone */
function formatOf(time_zone) {
  /** @type {Intl.DateTimeFormatOptions} */
  const how = { year: "numeric", month: "2-digit", day: "2-digit" };
  Object.assign(how, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
  try {
    return new Intl.DateTimeFormat("en-GB", time_zone === undefined ? how : { ...how, timeZone: time_zone });
  } catch {
    return new Intl.DateTimeFormat("en-GB", how); // a zone that this browser does not know
  }
}

/** @param {number} seconds since the call began */
export function callClock(seconds) {
  const minutes = Math.floor(seconds / 60);
  return `${twoDigits(minutes)}:${twoDigits(seconds % 60)}`;
}

/** A share as people read it. @param {number} permille */
export function percent(permille) {
  return `${(permille / 10).toFixed(1)}\u00a0%`; // never broken before its sign
}

/** A thousand bits a second, in whole numbers. @param {number} bitrate_bps */
export function kilobits(bitrate_bps) {
  return String(Math.round(bitrate_bps / 1000));
}

/** @param {number} size_bytes */
export function megabytes(size_bytes) {
  return `${(size_bytes / 1_000_000).toFixed(1)} MB`;
}

/** @param {number} value */
function twoDigits(value) {
  return String(value).padStart(2, "0");
}

/** A hash shortened in the middle. @param {string} hash */
export function shortHash(hash) {
  return hash.length > 20 ? `${hash.slice(0, 8)}…${hash.slice(-8)}` : hash;
}

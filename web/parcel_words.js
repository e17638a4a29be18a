// @ts-check
/** The words of the delivery's cards and sheets. Two languages written separately; the customer is 您, and so is the courier. */

/** @typedef {typeof en} ParcelWords */

const en = {
  label: "Your parcel",
  close: "Close",
  sending: "Sending…",
  waiting: "Waiting for network. It goes out by itself.",
  not_known: "The choices cannot be loaded yet. Trying again…",

  choose: {
    hint: "Tap a choice, or answer with its number.",
    again: "Your courier is still waiting for your answer.",
    instead: "What shall it be instead?",
    keep: "Leave it as it is",
    choice: (/** @type {number} */ number, /** @type {string} */ label) => `${number}. ${label}`,
    chosen: "your answer",
  },
  answered: {
    title: "Your answer",
    open: "Your courier sees it. You can change it until they act on it.",
    taken: "Your courier acts on it. If something changes, write to them.",
    change: "Change the answer",
  },
  later: {
    title: "When shall we come?",
    text: "Anything the courier should know (optional)",
    send: "Ask for this time",
  },
  detail: {
    title: "Who takes it for you?",
    text: "Name, house number or floor",
    send: "Send the answer",
  },
  quick_times: "Times that suit most people",
  own_time: "Or another time",
  own_time_zone: (/** @type {string} */ zone) => `Or another time (${zone})`,
  time_past: "This time has passed. Please choose a later one.",
  time_needed: "Please choose a time.",
  text_needed: "Please write a few words.",

  receipt: {
    title: "Your parcel has been handed over",
    confirm: "Confirm receipt",
    reserve: "With reservation",
    refuse: "Refuse",
  },
  confirm_sheet: {
    confirm: {
      title: "Confirm receipt",
      send: "I confirm",
      text: "",
      statement: (/** @type {string} */ waybill, /** @type {string} */ how, /** @type {string} */ time) =>
        `I have received the parcel with waybill ${waybill} (${how}, ${time}). I was told that I may inspect it first.`,
    },
    reserve: {
      title: "Confirm, with a reservation",
      send: "I confirm with this reservation",
      text: "What is not as it should be?",
      statement: (/** @type {string} */ waybill, /** @type {string} */ how, /** @type {string} */ time) =>
        `I have received the parcel with waybill ${waybill} (${how}, ${time}), with the reservation that I describe here. I was told that I may inspect it first.`,
    },
    refuse: {
      title: "Refuse the parcel",
      send: "Refuse it",
      text: "Why do you not take it?",
      statement: (/** @type {string} */ waybill, /** @type {string} */ how, /** @type {string} */ time) =>
        `I do not take the parcel with waybill ${waybill} (${how}, ${time}). Quality check is told at once.`,
    },
  },
  reserve_kind: "What kind of problem is it?",
  photos: "Photos show it best",
  confirmed: {
    title: "Receipt confirmed",
    with_reservation: (/** @type {string} */ reservation) => `With your reservation: ${reservation}`,
    their_reservation: (/** @type {string} */ reservation) => `With a reservation: ${reservation}`,
    sealed: "It is sealed. Thank you.",
    courier: "The customer has confirmed. This delivery is done.",
  },
  refused_parcel: {
    customer_title: "You did not take the parcel",
    customer: "Quality check knows and decides what happens next. You will read it here.",
    courier_title: "The customer refused the parcel",
    courier: "Keep the parcel with you. Quality check decides, and the decision appears here.",
    decided: (/** @type {string} */ who, /** @type {string} */ decision) => `${who} decided: ${decision}`,
    closed: "This is settled. If anything is open, write here.",
  },

  change: {
    open: "Change delivery",
    title: "What shall change?",
    what: { address: "Address", time: "Time", person: "Person" },
    text: {
      address: "The new address",
      time: "Anything the courier should know (optional)",
      person: "Who receives it, and how to find them",
    },
    send: "Ask for the change",
    note: "It counts once the courier or dispatch has accepted it.",
    asked: { address: "New address asked for", time: "New time asked for", person: "Other person asked for" },
    waits: "Waiting for an answer",
    withdraw: "Withdraw",
    request: {
      address: "The customer asks for another address",
      time: "The customer asks for another time",
      person: "Somebody else shall receive the parcel",
    },
    accept: "Accept",
    decline: "Decline",
  },
  agreed: { address: "Address", time: "Agreed time", person: "Received by" },

  report: {
    open: "Report a problem",
    title: "What is the problem?",
    text: "What happened? (optional)",
    send: "Report it",
    photos: "Photos or a voice note",
    kind_needed: "Please choose the problem first.",
  },
  order: {
    name: (/** @type {string} */ label, /** @type {number} */ number) => `${label} · No. ${number}`,
    state: {
      waiting: "Waiting for network",
      open: "Reported",
      taken: "Being looked into",
      decided: "Decided",
      acknowledged: "Being done",
      closed: "Closed",
    },
    overdue: "Takes longer than planned",
    more: (/** @type {number} */ count) => `${count} more in the conversation`,
    due: (/** @type {string} */ time) => `Decision due ${time}`,
  },
  decision: {
    title: (/** @type {string} */ who) => `Decision of ${who}`,
    about: (/** @type {string} */ label, /** @type {number} */ number) => `About: ${label}, No. ${number}`,
    acknowledge: "Understood, I do it",
  },

  announce: {
    title: "Tell the customer",
    first: "Say when you come: the customer then chooses how to receive the parcel.",
    arrived: "I have arrived",
    minutes: (/** @type {number} */ minutes) => `In ${minutes} min`,
    row: "Tell the customer:",
    short_arrived: "Arrived",
    short_minutes: (/** @type {number} */ minutes) => `${minutes} min`,
    sent: "sent",
  },
  awaiting: {
    title: "Waiting for the customer's answer",
    sent: (/** @type {string} */ time) => `Sent ${time}`,
    repeated: (/** @type {string} */ time) => `Sent ${time}, and once more since`,
  },
  answer: {
    title: "The customer says",
    take: "I act on it",
    changed: "Until you tap, the customer can change it.",
  },
  go: {
    title: "You act on this",
    next: {
      give: "Hand over the parcel, then say how.",
      later: "Come again at that time. Tell the customer when you are on the way.",
      refuse: "Keep the parcel with you, and report that it was refused.",
    },
  },
  hand_over: {
    open: "Hand over",
    title: "How do you hand it over?",
    text: "A note for the customer (optional)",
    send: "Handed over",
    photo_needed: "Please take a photo of where you leave it.",
    photos: "Photo",
    photos_needed: "Photo of where you leave it",
    how_needed: "Please choose how first.",
  },
  unconfirmed: {
    title: "Waiting for the customer to confirm",
    text: "The customer may inspect the parcel first. Only they can confirm.",
  },

  place: {
    share: "Add my place",
    asking: "Finding your place…",
    known: (/** @type {string} */ accuracy) => `Your place goes along, exact to ${accuracy}`,
    refuse: "Do not share my place",
    refused: "Your place is not shared",
    problem: {
      denied: "Your phone does not tell its place. It is sent without.",
      unavailable: "Your phone cannot tell where it is. It is sent without.",
      timeout: "Your phone took too long to find its place. It is sent without.",
      insecure: "Phones tell their place only to secure pages. It is sent without.",
    },
  },

  ring: {
    title: (/** @type {string} */ name) => `${name} is calling`,
    text: "By video. Your camera is on only after you have agreed.",
    answer: "Answer",
    decline: "Decline",
    missed: (/** @type {string} */ name, /** @type {string} */ time) => `Missed call from ${name} · ${time}`,
    call_back: "Call back",
  },

  refused: {
    answer: {
      meanwhile: "This was answered, or asked anew, meanwhile. Look at it, then choose.",
      wrong_step: "Your courier acts on the earlier answer already. Please write to them.",
    },
    take_answer: { meanwhile: "The customer has just changed the answer. Read the new one first." },
    answer_change: { meanwhile: "Somebody was faster: this change is answered or withdrawn already." },
    withdraw_change: { meanwhile: "Your change was answered just before you withdrew it." },
    confirm: { meanwhile: "It was confirmed or refused already, perhaps on another device." },
    refuse_receipt: { meanwhile: "It was confirmed or refused already, perhaps on another device." },
    acknowledge_exception: { meanwhile: "There is a newer decision. Read that one." },
    hand_over: { wrong_step: "The customer has confirmed the receipt already." },
    announce: { wrong_step: "The customer has confirmed the receipt already." },
  },
};

/** @type {ParcelWords} */
const zh = {
  label: "您的包裹",
  close: "关闭",
  sending: "正在发送…",
  waiting: "等待网络，联网后自动发出",
  not_known: "选项暂时没有加载出来，正在重试…",

  choose: {
    hint: "点选一项，或直接回复数字。",
    again: "快递员还在等您的回复。",
    instead: "您想改成什么？",
    keep: "不改了",
    choice: (number, label) => `${number}. ${label}`,
    chosen: "已选",
  },
  answered: {
    title: "您的回复",
    open: "快递员已能看到。在快递员照办之前，您可以更改。",
    taken: "快递员正按您的回复办理。如有变化，请给快递员留言。",
    change: "更改回复",
  },
  later: { title: "您希望什么时候送？", text: "需要告诉快递员的话（选填）", send: "就这个时间" },
  detail: { title: "交给哪位邻居？", text: "姓名、门牌或楼层", send: "发送回复" },
  quick_times: "常用时间",
  own_time: "或选其他时间",
  own_time_zone: (zone) => `或选其他时间（${zone} 时间）`,
  time_past: "这个时间已经过了，请选晚一些的时间。",
  time_needed: "请先选择时间。",
  text_needed: "请写几个字说明。",

  receipt: {
    title: "包裹已交付，请您确认",
    confirm: "确认收货",
    reserve: "有保留意见",
    refuse: "拒收",
  },
  confirm_sheet: {
    confirm: {
      title: "确认收货",
      send: "确认",
      text: "",
      statement: (waybill, how, time) =>
        `本人已收到运单 ${waybill} 的包裹（${how}，${time}）。本人已知悉有权先验收再签收。`,
    },
    reserve: {
      title: "有保留地确认",
      send: "按此保留意见确认",
      text: "哪里有问题？",
      statement: (waybill, how, time) =>
        `本人已收到运单 ${waybill} 的包裹（${how}，${time}），并提出以下保留意见。本人已知悉有权先验收再签收。`,
    },
    refuse: {
      title: "拒收包裹",
      send: "确定拒收",
      text: "请说明拒收原因",
      statement: (waybill, how, time) =>
        `本人拒收运单 ${waybill} 的包裹（${how}，${time}）。质检会立即收到通知。`,
    },
  },
  reserve_kind: "属于哪类问题？",
  photos: "拍照说明更清楚",
  confirmed: {
    title: "已确认收货",
    with_reservation: (reservation) => `您的保留意见：${reservation}`,
    their_reservation: (reservation) => `客户的保留意见：${reservation}`,
    sealed: "已封存，谢谢您。",
    courier: "客户已确认，本单派送完成。",
  },
  refused_parcel: {
    customer_title: "您已拒收包裹",
    customer: "质检已收到通知，处理结果会显示在这里。",
    courier_title: "客户已拒收",
    courier: "请保管好包裹。质检会作出决定，并显示在这里。",
    decided: (who, decision) => `${who}的处理决定：${decision}`,
    closed: "此事已办结。如还有疑问，请在这里留言。",
  },

  change: {
    open: "更改派送",
    title: "您想更改什么？",
    what: { address: "地址", time: "时间", person: "收件人" },
    text: { address: "新地址", time: "需要告诉快递员的话（选填）", person: "由谁收件，怎么联系" },
    send: "提出更改",
    note: "快递员或调度同意后生效。",
    asked: { address: "已请求更改地址", time: "已请求更改时间", person: "已请求更换收件人" },
    waits: "等待答复",
    withdraw: "撤回",
    request: {
      address: "客户请求更改地址",
      time: "客户请求更改时间",
      person: "客户请求换人收件",
    },
    accept: "同意",
    decline: "不能更改",
  },
  agreed: { address: "地址", time: "约定时间", person: "收件人" },

  report: {
    open: "报告问题",
    title: "遇到了什么问题？",
    text: "具体情况（选填）",
    send: "提交报告",
    photos: "照片或语音",
    kind_needed: "请先选择问题类型。",
  },
  order: {
    name: (label, number) => `${label} · 第 ${number} 号`,
    state: {
      waiting: "等待网络",
      open: "已报告",
      taken: "处理中",
      decided: "已有决定",
      acknowledged: "照办中",
      closed: "已办结",
    },
    overdue: "处理时间比预计长",
    more: (count) => `会话中还有 ${count} 项`,
    due: (time) => `${time} 前答复`,
  },
  decision: {
    title: (who) => `${who}的处理决定`,
    about: (label, number) => `关于：${label}，第 ${number} 号`,
    acknowledge: "知道了，照此办理",
  },

  announce: {
    title: "通知客户",
    first: "先告诉客户您什么时候到，客户会选择怎么收。",
    arrived: "我已到达",
    minutes: (minutes) => `${minutes} 分钟后到`,
    row: "通知客户到达时间：",
    short_arrived: "已到达",
    short_minutes: (minutes) => `${minutes} 分钟`,
    sent: "已通知",
  },
  awaiting: {
    title: "等待客户回复",
    sent: (time) => `${time} 已通知`,
    repeated: (time) => `${time} 已通知，之后又提醒过一次`,
  },
  answer: { title: "客户回复", take: "照此办理", changed: "在您点击之前，客户还可以更改。" },
  go: {
    title: "正按此办理",
    next: {
      give: "交付包裹后，请选择交付方式。",
      later: "请按约定时间再送，出发后再通知客户。",
      refuse: "请保管好包裹，并报告客户拒收。",
    },
  },
  hand_over: {
    open: "交付包裹",
    title: "怎么交付的？",
    text: "给客户的留言（选填）",
    send: "已交付",
    photo_needed: "请拍下包裹放置的位置。",
    photos: "照片",
    photos_needed: "拍下放置的位置",
    how_needed: "请先选择交付方式。",
  },
  unconfirmed: { title: "等待客户确认", text: "客户可以先验收。只有客户本人能确认。" },

  place: {
    share: "附上我的位置",
    asking: "正在定位…",
    known: (accuracy) => `将附上您的位置，误差约 ${accuracy}`,
    refuse: "不分享位置",
    refused: "不分享您的位置",
    problem: {
      denied: "手机没有提供位置，将不附上位置。",
      unavailable: "手机暂时无法定位，将不附上位置。",
      timeout: "定位用时过长，将不附上位置。",
      insecure: "只有安全页面才能定位，将不附上位置。",
    },
  },

  ring: {
    title: (name) => `${name}来电`,
    text: "视频通话。您同意之后才会打开摄像头。",
    answer: "接听",
    decline: "拒接",
    missed: (name, time) => `${time} 有${name}的未接来电`,
    call_back: "回拨",
  },

  refused: {
    answer: {
      meanwhile: "内容刚刚有更新，请先看看，再选择。",
      wrong_step: "快递员已按之前的回复办理，请给快递员留言。",
    },
    take_answer: { meanwhile: "客户刚刚更改了回复，请先看新的回复。" },
    answer_change: { meanwhile: "有人先一步处理了：此更改已有答复或已撤回。" },
    withdraw_change: { meanwhile: "在您撤回之前，更改已经有了答复。" },
    confirm: { meanwhile: "此前已经确认或拒收过，可能是在另一台设备上。" },
    refuse_receipt: { meanwhile: "此前已经确认或拒收过，可能是在另一台设备上。" },
    acknowledge_exception: { meanwhile: "有了新的决定，请看新的。" },
    hand_over: { wrong_step: "客户已经确认收货。" },
    announce: { wrong_step: "客户已经确认收货。" },
  },
};

/** @type {Readonly<Record<import("./protocol.js").Language, ParcelWords>>} */
export const PARCEL_WORDS = Object.freeze({ en, zh });

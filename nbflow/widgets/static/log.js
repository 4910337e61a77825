// The log of a run: follows its end, keeps the newest lines, fetches what it missed.
const KEPT = 5000;

function addLines(view, message) {
  if (message.anew) {
    view.body.replaceChildren();
    view.next = view.start = message.first;
  }
  if (message.first > view.next) {
    // Lines in between came while this view was not listening; the kernel sends what it still has of them.
    if (message.first - view.next < KEPT && view.asked !== message.first) {
      view.asked = message.first;
      view.model.send({ type: "more", after: view.next });
      return;
    }
    view.body.replaceChildren();
    view.start = message.first;
  }
  const fresh = document.createDocumentFragment();
  for (const [stream, text] of message.lines.slice(Math.max(view.next - message.first, 0))) {
    const line = document.createElement("div");
    line.className = `nbflow-line nbflow-${stream}`;
    line.textContent = text || "\u200b";
    fresh.append(line);
  }
  view.body.append(fresh);
  view.next = Math.max(view.next, message.first + message.lines.length);
  while (view.body.childElementCount > KEPT) {
    view.body.firstElementChild.remove();
  }
  view.start = view.next - view.body.childElementCount;
  view.tail.textContent = Object.values(message.partial).join("\n");
  describe(view);
  follow(view);
}

// Stays at the end until the reader scrolls up, and again once the reader is back there.
function follow(view) {
  if (view.follows) view.pane.scrollTop = view.pane.scrollHeight;
}

function watchScrolling(view) {
  view.pane.addEventListener("scroll", () => {
    const { scrollTop, clientHeight, scrollHeight } = view.pane;
    if (clientHeight) view.follows = scrollTop + clientHeight >= scrollHeight - 12;
  });
  // What arrives before the pane is drawn has no height yet.
  const observer = new ResizeObserver(() => follow(view));
  observer.observe(view.pane);
  return observer;
}

function describe(view) {
  const total = view.next.toLocaleString("en");
  const hidden = view.start > 0 ? `, the last ${view.body.childElementCount.toLocaleString("en")} shown` : "";
  view.count.textContent = view.next === 1 ? "1 line" : `${total} lines${hidden}`;
}

function clear(view) {
  view.body.replaceChildren();
  view.tail.textContent = "";
  view.next = view.start = 0;
  view.asked = null;
  view.follows = true;
  describe(view);
}

function save(name, buffer) {
  const url = URL.createObjectURL(new Blob([buffer], { type: "text/plain;charset=utf-8" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
}

function build(model, el) {
  const make = (tag, name, parent) => {
    const node = document.createElement(tag);
    node.className = name;
    parent.append(node);
    return node;
  };
  const box = make("div", "nbflow-log", el);
  const head = make("div", "nbflow-log-head", box);
  const count = make("span", "nbflow-log-count", head);
  const whole = make("button", "nbflow-link nbflow-log-whole", head);
  whole.type = "button";
  whole.textContent = "Whole log";
  whole.title = "Save the whole log as a text file";
  whole.addEventListener("click", () => model.send({ type: "whole" }));
  const pane = make("div", "nbflow-log-pane", box);
  pane.setAttribute("role", "log");
  pane.setAttribute("aria-label", model.get("label"));
  pane.tabIndex = 0;
  const body = make("div", "nbflow-log-body", pane);
  const tail = make("div", "nbflow-line nbflow-log-tail", pane);
  return { model, pane, body, tail, count, next: 0, start: 0, asked: null, follows: true };
}

function render({ model, el }) {
  const view = build(model, el);
  const listen = (message, buffers) => {
    if (message.type === "lines") addLines(view, message);
    if (message.type === "clear") clear(view);
    if (message.type === "whole") save(message.name, buffers[0]);
  };
  clear(view);
  const kept = model.get("tail");
  if (kept && kept.lines) addLines(view, { ...kept, anew: true });
  const observer = watchScrolling(view);
  model.on("msg:custom", listen);
  model.send({ type: "ready", after: 0 });
  return () => {
    observer.disconnect();
    model.off("msg:custom", listen);
  };
}

export default { render };

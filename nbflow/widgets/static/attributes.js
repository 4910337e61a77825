// Gives the panel's elements the attributes that the toolkit has no property for: names, descriptions, states.
function render({ model, el }) {
  let root = null;
  let asked = 0;
  const apply = () => {
    asked = 0;
    for (const [selector, attributes] of Object.entries(model.get("rules"))) {
      for (const node of root.querySelectorAll(selector)) {
        for (const [name, value] of Object.entries(attributes)) {
          if (value === null) node.removeAttribute(name);
          else if (node.getAttribute(name) !== value) node.setAttribute(name, value);
        }
      }
    }
  };
  const soon = () => {
    if (root && !asked) asked = requestAnimationFrame(apply);
  };
  const observer = new MutationObserver((changes) => {
    if (changes.some((change) => !change.target.closest?.(".nbflow-log"))) soon();
  });
  const find = () => {
    root = el.closest(".nbflow-panel");
    if (!root) return requestAnimationFrame(find);
    observer.observe(root, { childList: true, subtree: true });
    return soon();
  };
  const copy = (message) => {
    if (message.type === "copy" && navigator.clipboard) {
      navigator.clipboard.writeText(message.text).then(
        () => model.send({ type: "copied" }),
        () => {},
      );
    }
  };
  // A plain key on a list, a slider or a button is meant for it; the notebook around would go to another cell, or delete one.
  const keep = (event) => {
    const plain = !(event.ctrlKey || event.metaKey || event.altKey);
    if (root?.contains(event.target)) event.target.toggleAttribute("data-lm-suppress-shortcuts", plain);
  };
  model.on("change:rules", soon);
  model.on("msg:custom", copy);
  window.addEventListener("keydown", keep, true); // before the notebook's own listener
  find();
  model.send({ type: "ready" });
  return () => {
    observer.disconnect();
    window.removeEventListener("keydown", keep, true);
    model.off("change:rules", soon);
    model.off("msg:custom", copy);
  };
}

export default { render };

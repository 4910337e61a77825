// A native slider: unlike the toolkit's own it has a name for those who can't see it, and arrow keys move it.
function render({ model, el }) {
  const input = document.createElement("input");
  input.type = "range";
  input.className = "nbflow-slider";
  el.append(input);
  const show = () => {
    input.setAttribute("aria-label", model.get("label"));
    [input.min, input.max, input.step] = ["least", "greatest", "step"].map((name) => model.get(name));
    input.disabled = model.get("disabled");
    if (document.activeElement !== input || model.get("value") !== input.value) input.value = model.get("value");
  };
  input.addEventListener("input", () => {
    model.set("value", input.value);
    model.save_changes();
  });
  model.on("change", show);
  show();
  model.send({ type: "ready" });
  return () => model.off("change", show);
}

export default { render };

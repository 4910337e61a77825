// A password field whose text goes to the kernel as messages: it is never part of the widget's state.
function render({ model, el }) {
  const row = document.createElement("div");
  row.className = "nbflow-input-row";
  const label = document.createElement("label");
  const input = document.createElement("input");
  input.type = "password";
  input.autocomplete = "new-password";
  input.spellcheck = false;
  input.id = `nbflow-secret-${crypto.getRandomValues(new Uint32Array(2)).join("")}`;
  label.htmlFor = input.id;
  label.className = "nbflow-label";
  row.append(label, input);
  el.append(row);
  const show = () => {
    label.textContent = model.get("label");
    label.title = model.get("label");
    input.disabled = model.get("disabled");
    input.placeholder = model.get("placeholder");
  };
  const listen = (message) => {
    if (message.type === "clear") input.value = "";
  };
  input.addEventListener("input", () => model.send({ type: "text", text: input.value }));
  model.on("change", show);
  model.on("msg:custom", listen);
  show();
  model.send({ type: "ready" });
  return () => {
    model.off("change", show);
    model.off("msg:custom", listen);
  };
}

export default { render };

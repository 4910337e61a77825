// What the form would run, as a command, a request, a cell and a link: to copy from the one door to another.
import { $, $$, copy } from "./dom.js"
import { apiHref, href } from "./api.js"
import { textOf } from "./controls.js"

const write = (value) => (value === null ? "null" : textOf(value))
const quote = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`)

/** A JSON value as Python source. */
function toPython(value) {
    if (value === null) return "None"
    if (value === true) return "True"
    if (value === false) return "False"
    if (typeof value === "string") return JSON.stringify(value)
    if (Array.isArray(value)) return `[${value.map(toPython).join(", ")}]`
    if (typeof value === "object" && !("rawJSON" in value))
        return `{${Object.entries(value)
            .map(([key, item]) => `${JSON.stringify(key)}: ${toPython(item)}`)
            .join(", ")}}`
    return textOf(value)
}

const makers = {
    cli: ({ flow, values }) =>
        [
            "nbflow run",
            quote(flow),
            ...Object.entries(values).map(([name, value]) => `-p ${quote(`${name}=${write(value)}`)}`),
        ].join(" "),
    curl({ request, values }) {
        const body = JSON.stringify({ ...request.body, parameters: values })
        return [
            `curl -X POST ${quote(new URL(apiHref(request.path), location.href).href)}`,
            `  -H "Authorization: token $NBFLOW_API_TOKEN" -H 'Content-Type: application/json'`,
            `  -d ${quote(body)}`,
        ].join(" \\\n")
    },
    python({ flow, values }) {
        const given = Object.entries(values).map(([name, value]) => `${name}=${toPython(value)}`)
        return `import nbflow\n\nrun = nbflow.flow(${JSON.stringify(flow)}).run(${given.join(", ")})`
    },
    link({ page, query, values }) {
        const given = Object.fromEntries(Object.entries(values).map(([name, value]) => [`p.${name}`, write(value)]))
        return new URL(href(page, { ...query, ...given }), location.href).href
    },
}

/** Fills the dialog `#copies`; *describe* gives `{ flow, values, request, page, query, secrets }` as they are now. */
export function offerCopies(describe) {
    const dialog = $("#copies")
    const text = $("#copies-text")
    let kind = "cli"
    const show = () => {
        const { values, secrets, ...rest } = describe()
        const shown = { ...values }
        for (const name of secrets) {
            if (!(name in shown)) continue
            if (kind === "link") delete shown[name]
            else if (!/^(env|file):/.test(String(shown[name]))) shown[name] = `env:${name.toUpperCase()}`
        }
        text.value = makers[kind]({ ...rest, values: shown })
        text.rows = Math.min(8, Math.max(3, text.value.split("\n").length + 1))
        for (const button of $$("[data-copy]", dialog))
            button.setAttribute("aria-pressed", String(button.dataset.copy === kind))
    }
    for (const button of $$("[data-copy]", dialog))
        button.addEventListener("click", () => {
            kind = button.dataset.copy
            show()
        })
    $("#copies-copy").addEventListener("click", (event) => copy(text.value, event.currentTarget))
    $("#copies-open").addEventListener("click", () => {
        show()
        dialog.showModal()
    })
    $("#copies-close").addEventListener("click", () => dialog.close())
}

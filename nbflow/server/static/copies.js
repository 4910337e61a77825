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

const toCurl = (path, body) =>
    [
        `curl -X POST ${quote(new URL(apiHref(path), location.href).href)}`,
        `  -H "Authorization: token $NBFLOW_API_TOKEN" -H 'Content-Type: application/json'`,
        `  -d ${quote(JSON.stringify(body))}`,
    ].join(" \\\n")

/** A backfill as a command: what is a list there is an axis, so that a value that is one stands in another. */
function toBackfill(flow, { parameters, axes }, file) {
    const ranges = Object.entries(axes).filter(([, axis]) => !Array.isArray(axis))
    const option = (name, text) => `-p ${quote(`${name}=${text}`)}`
    return [
        "nbflow backfill create",
        quote(flow),
        ...Object.entries(axes).map(([name, axis]) =>
            option(name, Array.isArray(axis) ? JSON.stringify(axis) : `${axis.first}..${axis.last}`),
        ),
        ...ranges.filter(([, { step }]) => step).map(([name, { step }]) => `--step ${quote(`${name}=${step}`)}`),
        file && `--rows ${quote(file)}`,
        ...Object.entries(parameters).map(([name, value]) =>
            option(name, Array.isArray(value) ? JSON.stringify([value]) : write(value)),
        ),
    ]
        .filter(Boolean)
        .join(" ")
}

const OPTIONS = [
    ["reprocess_behavior", "none"],
    ["max_active_runs", 4],
    ["max_failures", undefined],
    ["name", undefined],
]

/** Of a backfill: `{ flow, body, file }`, what is posted and the name of its table. */
export function describeBackfill({ flow, body, file }) {
    const options = OPTIONS.filter(([name, usual]) => body[name] !== undefined && body[name] !== usual).map(
        ([name]) => `--${name.replaceAll("_", "-")} ${quote(String(body[name]))}`,
    )
    if (body.run_backwards) options.push("--run-backwards")
    for (const tag of body.tags ?? []) options.push(`--tag ${quote(tag)}`)
    return { cli: [toBackfill(flow, body, file), ...options].join(" "), curl: toCurl("backfills", body) }
}

const makers = {
    cli: ({ flow, values }) =>
        [
            "nbflow run",
            quote(flow),
            ...Object.entries(values).map(([name, value]) => `-p ${quote(`${name}=${write(value)}`)}`),
        ].join(" "),
    curl: ({ request, values }) => toCurl(request.path, { ...request.body, parameters: values }),
    python({ flow, values }) {
        const given = Object.entries(values).map(([name, value]) => `${name}=${toPython(value)}`)
        return `import nbflow\n\nrun = nbflow.flow(${JSON.stringify(flow)}).run(${given.join(", ")})`
    },
    link({ page, query, values }) {
        const given = Object.fromEntries(Object.entries(values).map(([name, value]) => [`p.${name}`, write(value)]))
        return new URL(href(page, { ...query, ...given }), location.href).href
    },
}

const hideSecrets = (values, secrets, kind) => {
    const shown = { ...values }
    for (const name of secrets) {
        if (!(name in shown)) continue
        if (kind === "link") delete shown[name]
        else if (!/^(env|file):/.test(String(shown[name]))) shown[name] = `env:${name.toUpperCase()}`
    }
    return shown
}

/**
 * Fills the dialog `#copies`; *describe* gives `{ flow, values, request, page, query, secrets }` of a run as they are
 * now, or `{ flow, body, file, secrets }` of a backfill.
 */
export function offerCopies(describe) {
    const dialog = $("#copies")
    const text = $("#copies-text")
    let kind = "cli"
    const show = () => {
        const { values, secrets, body, ...rest } = describe()
        if (body) {
            if (!["cli", "curl"].includes(kind)) kind = "cli"
            const hidden = { ...body, parameters: hideSecrets(body.parameters, secrets, kind) }
            text.value = describeBackfill({ ...rest, body: hidden })[kind]
        } else text.value = makers[kind]({ ...rest, values: hideSecrets(values, secrets, kind) })
        $("#copies-title").textContent = `The same ${body ? "backfill" : "run"} from elsewhere`
        text.rows = Math.min(8, Math.max(3, text.value.split("\n").length + 1))
        for (const button of $$("[data-copy]", dialog))
            button.setAttribute("aria-pressed", String(button.dataset.copy === kind))
        for (const button of $$("[data-copy]", dialog))
            button.hidden = Boolean(body) && !["cli", "curl"].includes(button.dataset.copy)
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

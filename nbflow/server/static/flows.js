// The list of flows, and how a notebook becomes one.
import { $, act, badge, count, empty, h, moment, poll, replace, say } from "./dom.js"
import { base, call, encode, flowPath, get, href, post, Problem } from "./api.js"

const place = $("#flows")
const found = h("div.found")
const FOUND = 20

const flowLink = (flow) => h("a.strong", { href: href(flowPath(flow.flow)) }, flow.name)

function lastRun(run) {
    if (!run) return h("span.quiet", {}, "never run")
    return h("a.plain", { href: href(`runs/${run.id}`), title: run.name }, badge(run.state), " ", moment(run.created))
}

function show(flows, latest) {
    const wanted = $("#filter").value.trim().toLowerCase()
    const shown = flows.filter((flow) => flow.flow.toLowerCase().includes(wanted))
    $("#filter-box").hidden = flows.length < 8
    if (!flows.length) {
        replace(
            place,
            empty(
                "No flows yet.",
                "Register a notebook: upload it, or name its path. Its tagged parameters become a form.",
            ),
            found,
        )
        offerFound()
        $("#register").open = true
        return
    }
    const groups = Map.groupBy ? Map.groupBy(shown, (flow) => flow.project) : group(shown)
    replace(
        place,
        [...groups].map(([project, members]) => [
            h("h2.group", {}, project),
            h(
                "div.scroll",
                { tabindex: "0", role: "region", "aria-label": `Flows of ${project}` },
                h(
                    "table.list.flows",
                    {},
                    h(
                        "thead",
                        {},
                        h(
                            "tr",
                            {},
                            ["Flow", "Last run", "Version", "Registered"].map((name) =>
                                h("th", { scope: "col" }, name),
                            ),
                            h("th", {}, h("span.offscreen", {}, "Run")),
                        ),
                    ),
                    h(
                        "tbody",
                        {},
                        members.map((flow) =>
                            h(
                                "tr",
                                {},
                                h(
                                    "td",
                                    {},
                                    flowLink(flow),
                                    h(
                                        "div.quiet.path",
                                        { title: flow.source_path },
                                        flow.source_path?.split("/").slice(-2).join("/"),
                                    ),
                                ),
                                h("td", {}, lastRun(latest.get(flow.flow))),
                                h("td", {}, `v${flow.version}`),
                                h("td", {}, moment(flow.registered)),
                                h(
                                    "td.end",
                                    {},
                                    h(
                                        "a.button.small",
                                        { href: href(flowPath(flow.flow)), "aria-label": `Run ${flow.flow}` },
                                        "Run…",
                                    ),
                                ),
                            ),
                        ),
                    ),
                ),
            ),
        ]),
        shown.length ? null : empty("No flow has that in its name."),
    )
}

function group(flows) {
    const groups = new Map()
    for (const flow of flows) groups.set(flow.project, [...(groups.get(flow.project) ?? []), flow])
    return groups
}

let known = []
let latest = new Map()

async function load() {
    const [{ flows }, { runs }] = await Promise.all([get("flows"), get("runs", { limit: 200 })])
    known = flows
    latest = new Map()
    for (const run of runs) if (run.flow && !latest.has(run.flow)) latest.set(run.flow, run)
    const missing = flows.filter((flow) => !latest.has(flow.flow)).slice(0, 30)
    show(known, latest)
    document.body.dataset.ready = "yes"
    if (runs.length < 200) return
    await Promise.all(
        missing.map(async ({ flow }) => {
            const { runs } = await get("runs", { flow, limit: 1 })
            if (runs.length) latest.set(flow, runs[0])
        }),
    )
    show(known, latest)
}

$("#filter").addEventListener("input", () => show(known, latest))
load().catch((error) => replace(place, empty("The flows can't be shown.", error.message)))
poll(load, 15)

// -- registering ------------------------------------------------------------------------------------------------------

const form = $("#register-form")
const fields = {
    file: $("#register-file"),
    path: $("#register-path"),
    project: $("#register-project"),
    name: $("#register-name"),
}
const preview = $("#register-preview")

const source = () => form.elements.source.value
const stem = (path) =>
    path
        .split("/")
        .at(-1)
        .replace(/\.ipynb$/i, "")
const clean = (text) =>
    text
        .trim()
        .replace(/[^\w.-]+/g, "-")
        .replace(/^[-.]+|[-.]+$/g, "")

function showSource() {
    $("#from-file").hidden = source() !== "file"
    $("#from-path").hidden = source() !== "path"
    if (source() === "path") suggest("")
}

/** What Jupyter knows of a folder; it may be told to tell nobody. */
async function listFolder(folder) {
    const path = folder.split("/").map(encode).join("/")
    const answer = await fetch(`${base.replace(/nbflow\/$/, "")}api/contents/${path}?type=directory`)
    return answer.ok ? (await answer.json()).content : []
}

let suggested = null
async function suggest(folder) {
    if (suggested === folder) return
    suggested = folder
    try {
        const content = await listFolder(folder)
        const paths = content.flatMap((item) =>
            item.type === "directory" ? [`${item.path}/`] : item.type === "notebook" ? [item.path] : [],
        )
        replace(
            $("#paths"),
            paths.map((path) => h("option", { value: path })),
        )
    } catch {
        // suggestions are a comfort; the server may have no file browser
    }
}

/** Where there is no flow yet: the notebooks that lie in the server's folder, to begin with. */
async function offerFound() {
    if (found.dataset.asked) return
    found.dataset.asked = "yes"
    const content = await listFolder("").catch(() => [])
    const byName = (one, other) => one.name.localeCompare(other.name)
    const notebooks = content.filter(({ type }) => type === "notebook").sort(byName).slice(0, FOUND)
    if (!notebooks.length) return
    const choose = (path) => () => {
        form.elements.source.value = "path"
        fields.path.value = path
        showSource()
        fields.path.dispatchEvent(new Event("change", { bubbles: true }))
        fields.project.focus()
    }
    const line = ({ path }) =>
        h(
            "li",
            {},
            h("code", {}, path),
            h("button.small", { type: "button", onclick: choose(path), "aria-label": `Register ${path}` }, "Register…"),
            h("a.button.small", { href: href("notebook", { path }), "aria-label": `Run ${path}` }, "Run it as it is…"),
        )
    replace(found, h("h2.group", {}, "In the server's folder"), h("ul.plain-list", {}, notebooks.map(line)))
}

let looked = 0
async function look() {
    const turn = ++looked
    replace(preview)
    const path = fields.path.value.trim()
    if (!path.endsWith(".ipynb")) return
    try {
        const found = await get("notebooks", { path })
        if (turn !== looked) return
        const names = found.parameters.map(({ name, type }) => `${name}: ${type}`)
        replace(
            preview,
            names.length ? `${count(names.length, "parameter")}: ${names.join(", ")}` : "It declares no parameters.",
        )
    } catch (error) {
        if (turn === looked) replace(preview, error.message)
    }
}

form.addEventListener("change", (event) => {
    if (event.target.name === "source") showSource()
    const given = source() === "file" ? (fields.file.files[0]?.name ?? "") : fields.path.value
    if (given && !fields.name.dataset.typed) fields.name.value = clean(stem(given))
    if (event.target === fields.path) look()
})
fields.name.addEventListener("input", () => (fields.name.dataset.typed = fields.name.value && "yes"))
fields.path.addEventListener("input", () => suggest(fields.path.value.split("/").slice(0, -1).join("/")))
form.addEventListener("submit", (event) => {
    event.preventDefault()
    act($("#register-go"), register)
})

for (const kind of ["dragover", "drop"])
    document.addEventListener(kind, (event) => {
        if (!event.dataTransfer?.types.includes("Files")) return
        event.preventDefault()
        $("#register").open = true
        if (kind === "drop") {
            form.elements.source.value = "file"
            fields.file.files = event.dataTransfer.files
            fields.file.dispatchEvent(new Event("change", { bubbles: true }))
        }
        showSource()
    })

function fail(errors, text) {
    replace(
        $("#register-problem"),
        h(
            "div.problem",
            { role: "alert", tabindex: "-1" },
            text,
            Object.keys(errors).length > 0 &&
                h(
                    "ul",
                    {},
                    Object.entries(errors).map(([name, message]) => h("li", {}, `${name}: ${message}`)),
                ),
        ),
    )
    $("#register-problem .problem").focus()
}

async function register() {
    const project = fields.project.value.trim()
    const name = fields.name.value.trim()
    replace($("#register-problem"))
    try {
        const made =
            source() === "file"
                ? await upload(project, name)
                : await post("flows", { project, path: fields.path.value.trim(), ...(name && { name }) })
        say(`Registered ${made.flow}, version ${made.version}.`)
        location.assign(href(flowPath(made.flow)))
    } catch (problem) {
        if (!(problem instanceof Problem)) throw problem
        fail(problem.errors, problem.message)
    }
}

async function upload(project, name) {
    const file = fields.file.files[0]
    if (!file) throw new Problem(0, { detail: "Choose a notebook: a file that ends in .ipynb." })
    const isJson = await file.text().then(JSON.parse).then(
        () => true,
        () => false,
    )
    if (!isJson) throw new Problem(0, { detail: `${file.name} is no notebook: choose a file that Jupyter has saved.` })
    return call("PUT", `flows/${encode(project)}/${encode(name || clean(stem(file.name)))}`, file)
}

showSource()
if (location.hash === "#register") $("#register").open = true

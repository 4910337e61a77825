// One flow as an app: its form, and beside it how the run goes and what it came to.
import { $, TERMINAL, act, badge, empty, h, replace, say } from "./dom.js"
import { apiHref, get, post } from "./api.js"
import { follow } from "./events.js"
import { LogView } from "./log.js"
import { RunForm } from "./runform.js"
import { readTarget } from "./target.js"
import { Timeline } from "./timeline.js"
import { resultList } from "./values.js"

let run = null
let source = null
let log = null
let timeline = null

const isOver = () => TERMINAL.has(run.state)

function show() {
    $("#name").textContent = run.name
    replace($("#state"), badge(run.state))
    const cancel = h("button.danger", { type: "button", disabled: run.state === "cancelling" }, "Cancel")
    cancel.addEventListener("click", () => act(cancel, () => post(`runs/${run.id}/cancel`)))
    replace($("#actions"), !isOver() && cancel)
    const { failure } = run
    $("#failure").hidden = !failure
    if (failure)
        replace(
            $("#failure"),
            h("strong", {}, failure.ename ? `${failure.ename}: ` : ""),
            failure.ename ? failure.evalue : failure.message,
        )
    replace($("#results"), resultList(run.results ?? {}))
    $("#notebook-box").hidden = !isOver() || !run.output_path
    showProgress()
}

function showProgress() {
    $("#progress").hidden = isOver() || !timeline.cells
    $("#progress progress").max = timeline.cells || 1
    $("#progress progress").value = timeline.done
    const { current } = timeline
    $("#progress-text").textContent = current
        ? `cell ${current.number} of ${timeline.cells}${current.title ? `: ${current.title}` : ""}`
        : ""
}

function take(event) {
    log.take(event)
    if (timeline.take(event)) showProgress()
    if (event.kind === "result") {
        run.results = { ...run.results, [event.data.name]: event.data.value }
        if (!isOver()) replace($("#results"), resultList(run.results))
    } else if (event.kind === "state" && event.data.state !== run.state) refresh()
}

const refresh = () =>
    get(`runs/${run.id}`)
        .then((fresh) => {
            run = fresh
            show()
        })
        .catch((error) => say(error.message, "error"))

function watch(made) {
    source?.close()
    run = made
    history.replaceState(null, "", `#${run.id}`)
    $("#run-empty").hidden = true
    $("#run-view").hidden = false
    $("#notebook-box").open = false
    if (window.innerWidth <= 900) $("#outcome").scrollIntoView()
    log.clear()
    timeline = new Timeline(h("div"))
    show()
    source = follow(run.id, {
        take,
        end() {
            log.sayNothing("It printed nothing.")
            if (!isOver()) refresh()
        },
    })
}

$("#notebook-box").addEventListener("toggle", (event) => {
    if (!event.target.open) return replace($("#notebook"))
    const sandbox = "allow-scripts"
    return replace(
        $("#notebook"),
        h("iframe", {
            src: apiHref(`runs/${run.id}/report`),
            sandbox,
            referrerpolicy: "no-referrer",
            title: "Executed notebook",
        }),
    )
})

async function start() {
    const target = await readTarget()
    log = new LogView({
        view: $("#log"),
        status: $("#log-count"),
        follow: $("#follow"),
        filter: $("#log-filter"),
        stream: $("#log-stream"),
    })
    const form = new RunForm(target, { started: watch })
    await form.fillFromAddress()
    $("#run").disabled = false
    replace(
        $("#run-empty"),
        empty("Nothing has run yet.", "Fill in the values, and press Run: what comes out is shown here."),
    )
    const earlier = location.hash.slice(1)
    if (/^[0-9a-f]{16}$/.test(earlier)) await get(`runs/${earlier}`).then(watch, () => {})
    document.body.dataset.ready = "yes"
}

start().catch((error) => {
    replace($("#page-problem"), h("div.problem", { role: "alert" }, error.message))
    $("#page-body").hidden = true
})

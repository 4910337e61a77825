// Elements, times and states. Whatever comes from a notebook or a person is set as text, never as HTML.
const SVG = "http://www.w3.org/2000/svg"

/** `h("a.name", { href, onclick }, "text", child)`; false, null and undefined children are left out. */
export function h(spec, attributes = {}, ...children) {
    const [tag, ...classes] = spec.split(".")
    const node = document.createElement(tag || "div")
    if (classes.length) node.className = classes.join(" ")
    for (const [key, value] of Object.entries(attributes)) {
        if (value === undefined || value === null || value === false) continue
        if (key.startsWith("on")) node.addEventListener(key.slice(2), value)
        else if (key === "dataset") Object.assign(node.dataset, value)
        else if (key === "value" || key === "checked" || key === "selected") node[key] = value
        else node.setAttribute(key, value === true ? "" : value)
    }
    return add(node, ...children)
}

export function add(node, ...children) {
    for (const child of children.flat(Infinity))
        if (child !== null && child !== undefined && child !== false) node.append(child)
    return node
}

export const replace = (node, ...children) => {
    node.replaceChildren()
    return add(node, ...children)
}

export const $ = (selector, within = document) => within.querySelector(selector)
export const $$ = (selector, within = document) => [...within.querySelectorAll(selector)]

const ICONS = {
    completed: "M4.6 8.4l2.3 2.3 4.5-5",
    failed: "M5.2 5.2l5.6 5.6M10.8 5.2l-5.6 5.6",
    crashed: "M8.8 3.4L5.2 8.6h2.6l-.7 4 3.7-5.2H8.2z",
    timed_out: "M8 4.4V8l2.4 1.6",
    cancelled: "M4.8 11.2l6.4-6.4",
    cancelling: "M6 6h4v4H6z",
    skipped: "M4.6 5.4L7.2 8l-2.6 2.6M8.6 5.4L11.2 8l-2.6 2.6",
    running: "M6.6 5.2l4.4 2.8-4.4 2.8z",
    pending: "M5 8h.01M8 8h.01M11 8h.01",
    scheduled: "M8 4.6V8H5.4",
    preparing: "M5 8h.01M8 8h.01M11 8h.01",
    paused: "M6.6 5.6v4.8M9.4 5.6v4.8",
    stopped: "M6 6h4v4H6z",
    interrupted: "M8 4.6v4M8 11.2h.01",
    completed_with_failures: "M8 4.6v4M8 11.2h.01",
}
const LOOKS = {
    preparing: "pending",
    paused: "scheduled",
    stopped: "failed",
    interrupted: "crashed",
    completed_with_failures: "timed_out",
}

/** The colour family of a state: those of runs have their own, those of backfills borrow one. */
export const lookOf = (state) => LOOKS[state] ?? state
export const wordsOf = (state) => state.replaceAll("_", " ")

export function icon(state) {
    const svg = document.createElementNS(SVG, "svg")
    svg.setAttribute("viewBox", "0 0 16 16")
    svg.setAttribute("aria-hidden", "true")
    const ring = document.createElementNS(SVG, "circle")
    for (const [key, value] of Object.entries({ cx: 8, cy: 8, r: 6.7 })) ring.setAttribute(key, value)
    const path = document.createElementNS(SVG, "path")
    path.setAttribute("d", ICONS[state] ?? ICONS.pending)
    svg.append(ring, path)
    return svg
}

/** A state as a word with its own sign, so that it never hangs on colour alone. */
export const badge = (state) => h("span.state", { dataset: { state: lookOf(state) } }, icon(state), wordsOf(state))

export const TERMINAL = new Set(["completed", "failed", "cancelled", "crashed", "timed_out", "skipped"])
export const STATES = [
    ...["scheduled", "pending", "running", "cancelling"],
    ...["completed", "failed", "crashed", "timed_out", "cancelled", "skipped"],
]

const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" })
const absolute = new Intl.DateTimeFormat("en-GB", {
    ...{ weekday: "short", year: "numeric", month: "short", day: "2-digit" },
    ...{ hour: "2-digit", minute: "2-digit", second: "2-digit", timeZoneName: "shortOffset" },
})
const compact = new Intl.DateTimeFormat("en-GB", {
    ...{ year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit" },
})
export const zone = Intl.DateTimeFormat().resolvedOptions().timeZone
const UNITS = [
    ["year", 31557600],
    ["month", 2629800],
    ["day", 86400],
    ["hour", 3600],
    ["minute", 60],
]

export function ago(iso, now = Date.now()) {
    const seconds = (Date.parse(iso) - now) / 1000
    for (const [unit, size] of UNITS)
        if (Math.abs(seconds) >= size) return relative.format(Math.round(seconds / size), unit)
    return Math.abs(seconds) < 5 ? "just now" : relative.format(Math.round(seconds), "second")
}

/** A moment: relative to now, the exact time in its title and to copy. */
export function moment(iso) {
    if (!iso) return h("span.quiet", {}, "–")
    return h("time", { datetime: iso, title: absolute.format(new Date(iso)) }, ago(iso))
}

/** 2026-01-31 07:00:00 in the reader's own time zone. */
export function stamp(iso) {
    if (!iso) return ""
    const part = Object.fromEntries(compact.formatToParts(new Date(iso)).map(({ type, value }) => [type, value]))
    return `${part.year}-${part.month}-${part.day} ${part.hour}:${part.minute}:${part.second}`
}

function refreshMoments() {
    for (const node of $$("time[datetime]:not([data-fixed])")) {
        const text = ago(node.dateTime)
        if (node.textContent !== text) node.textContent = text
    }
}

export function duration(seconds) {
    if (seconds === null || seconds === undefined) return ""
    if (seconds < 1) return `${Math.round(seconds * 1000)} ms`
    if (seconds < 10) return `${seconds.toFixed(1)} s`
    const whole = Math.round(seconds)
    if (whole < 60) return `${whole} s`
    const [hours, minutes] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60)]
    return hours ? `${hours} h ${minutes} min` : `${minutes} min ${whole % 60} s`
}

export const count = (number, one, many = `${one}s`) => `${number.toLocaleString("en")} ${number === 1 ? one : many}`

/** JSON as a person reads it in one line: text without quotes, long values cut. */
export function brief(value, limit = 60) {
    const text = typeof value === "string" ? value : (JSON.stringify(value) ?? "")
    const line = text.replace(/\s+/g, " ")
    return line.length > limit ? `${line.slice(0, limit - 1)}…` : line
}

export function summarise(values, limit = 3) {
    const entries = Object.entries(values ?? {})
    const shown = entries.slice(0, limit).map(([name, value]) => `${name}=${brief(value, 28)}`)
    return shown.join("  ") + (entries.length > limit ? `  +${entries.length - limit}` : "")
}

export const empty = (title, ...advice) => h("div.empty", {}, h("p.empty-title", {}, title), h("p", {}, advice))

/** Says something once, at the foot of the page; screen readers hear it too. */
export function say(text, kind = "info") {
    const place = $("#said")
    const note = h("div.note", { dataset: { kind } }, text)
    replace(place, note)
    clearTimeout(place.timer)
    place.timer = setTimeout(() => note.remove(), kind === "error" ? 12000 : 5000)
}

export async function copy(text, button) {
    try {
        await navigator.clipboard.writeText(text)
    } catch {
        // without https there is no clipboard of that kind
        const area = h("textarea.offscreen", { value: text, "aria-hidden": "true" })
        ;(button?.closest("dialog") ?? document.body).append(area)
        area.select()
        document.execCommand("copy")
        area.remove()
    }
    say("Copied.")
    button?.focus()
}

/** Runs an action of a button: disabled meanwhile, a refusal is said in the server's words. */
export async function act(button, action) {
    button.disabled = true
    try {
        return await action()
    } catch (error) {
        say(error.message, "error")
        return undefined
    } finally {
        button.disabled = false
        // a button that was disabled has lost the keyboard's focus
        if (document.activeElement === document.body && button.isConnected) button.focus()
    }
}

/** Asks before something that can't be undone, or is done to many; whether it was meant. */
export function ask(question, verb, { no = "Keep it", kind = "danger" } = {}) {
    return new Promise((resolve) => {
        const dialog = h(
            "dialog.ask",
            { "aria-label": question, onclose: () => resolve(dialog.returnValue === "yes") || dialog.remove() },
            h("p", {}, question),
            h(
                "form.row",
                { method: "dialog" },
                h("button", { value: "yes", class: kind }, verb),
                h("button", { value: "no", autofocus: true }, no),
            ),
        )
        document.body.append(dialog)
        dialog.showModal()
    })
}

/** Tabs by the WAI-ARIA pattern: arrows move, the address keeps the choice; *onshow* hears of it. */
export function tabs(list, onshow) {
    const buttons = $$('[role="tab"]', list)
    const panels = buttons.map((button) => document.getElementById(button.getAttribute("aria-controls")))
    const show = (chosen, { focus = false, keep = true } = {}) => {
        buttons.forEach((button, index) => {
            const isChosen = button === chosen
            button.setAttribute("aria-selected", String(isChosen))
            button.tabIndex = isChosen ? 0 : -1
            panels[index].hidden = !isChosen
        })
        if (focus) chosen.focus()
        if (keep) history.replaceState(null, "", `#${chosen.dataset.tab}`)
        onshow(chosen.dataset.tab)
    }
    list.addEventListener("click", (event) => {
        const button = event.target.closest('[role="tab"]')
        if (button) show(button)
    })
    list.addEventListener("keydown", (event) => {
        const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key]
        if (!step) return
        const shown = buttons.filter((button) => !button.hidden)
        const index = shown.indexOf(document.activeElement)
        show(shown[(index + step + shown.length) % shown.length], { focus: true })
        event.preventDefault()
    })
    const find = (name) => buttons.find((button) => button.dataset.tab === name && !button.hidden)
    const pick = () => show(find(location.hash.slice(1)) ?? buttons[0], { keep: false })
    window.addEventListener("hashchange", pick)
    return { start: pick, show: (name) => show(find(name)) }
}

/** Calls *look* every few seconds while the page is seen, never twice at once. */
export function poll(look, seconds) {
    let timer = 0
    const next = () => {
        clearTimeout(timer)
        timer = setTimeout(async () => {
            if (!document.hidden) await look().catch(() => {})
            next()
        }, seconds * 1000)
    }
    document.addEventListener("visibilitychange", () => {
        if (!document.hidden) look().catch(() => {})
    })
    next()
}

/** What every page does: the time zone in its foot, and times that grow old. */
function startPage() {
    const offset = new Intl.DateTimeFormat("en-GB", { timeZoneName: "shortOffset" })
        .formatToParts(new Date())
        .find(({ type }) => type === "timeZoneName").value
    const place = $("#zone")
    if (place) place.textContent = `Times in ${zone} (${offset})`
    const current = $(".bar nav [aria-current]")
    if (current) current.parentElement.scrollLeft = current.offsetLeft - current.parentElement.clientWidth / 2
    setInterval(refreshMoments, 20000)
}
startPage()

// One parameter that differs between the runs of a backfill: from one value to another, or a list.
import { h, replace } from "./dom.js"
import { kindOf, readText, textOf, unwrap } from "./controls.js"

const STEPS = {
    date: [
        ["1D", "every day"],
        ["1W", "every week"],
        ["B", "Monday to Friday"],
        ["MS", "first of each month"],
        ["ME", "last of each month"],
    ],
    datetime: [
        ["1h", "every hour"],
        ["6h", "every 6 hours"],
        ["1D", "every day"],
        ["1W", "every week"],
    ],
}
const RANGES = new Set(["date", "datetime", "number"])
const two = (number) => String(number).padStart(2, "0")
const toDay = (date) => `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`

/** The month before this one: what is backfilled most often. */
function lastMonth() {
    const now = new Date()
    return [new Date(now.getFullYear(), now.getMonth() - 1, 1), new Date(now.getFullYear(), now.getMonth(), 0)].map(
        toDay,
    )
}

export class Axis {
    constructor(fields, name, { number, onchange, onremove }) {
        Object.assign(this, { fields, number, onchange })
        this.parameter = h(
            "select",
            { id: `axis-${number}`, onchange: () => this.#choose(this.parameter.value) },
            [...fields.keys()].map((key) => h("option", { value: key }, key)),
        )
        this.body = h("span.axis-body")
        this.error = h("p.field-error", { id: `axis-${number}-error`, hidden: true })
        this.node = h(
            "div.axis",
            { role: "group", "aria-label": "Parameter that differs" },
            h("label.stack", {}, "Parameter", this.parameter),
            this.body,
            h("button.link", { type: "button", onclick: onremove, "aria-label": "Remove this parameter" }, "remove"),
            this.error,
        )
        this.node.addEventListener("input", () => onchange())
        this.parameter.value = name
        this.#show()
    }

    get name() {
        return this.parameter.value
    }

    #choose() {
        this.#show()
        this.onchange()
    }

    #show() {
        this.schema = unwrap(this.fields.get(this.name).schema).schema
        this.kind = kindOf(this.schema)
        this.isRange = RANGES.has(this.kind)
        this.#draw()
    }

    #draw() {
        const { kind } = this
        const swap =
            RANGES.has(kind) &&
            h(
                "button.link",
                { type: "button", onclick: () => this.#swap() },
                this.isRange ? "a list instead" : "a range instead",
            )
        if (this.isRange) replace(this.body, this.#makeRange(), swap)
        else if (kind === "choice" || kind === "check") replace(this.body, this.#makeChoices())
        else replace(this.body, this.#makeList(), swap)
    }

    #swap() {
        this.isRange = !this.isRange
        this.#draw()
        this.onchange()
    }

    #makeRange() {
        const type = { date: "date", datetime: "datetime-local", number: "number" }[this.kind]
        const [first, last] =
            this.kind === "date"
                ? lastMonth()
                : this.kind === "datetime"
                  ? lastMonth().map((day) => `${day}T00:00`)
                  : ["", ""]
        const step = this.kind === "number" ? "any" : null
        this.first = h("input.short", { type, step, value: first })
        this.last = h("input.short", { type, step, value: last })
        this.step = STEPS[this.kind]
            ? h(
                  "select.token",
                  {},
                  STEPS[this.kind].map(([value, words]) => h("option", { value }, words)),
              )
            : h("input.short", { type: "number", min: 0, step: "any", value: "1" })
        return [
            h("label.stack", {}, "From", this.first),
            h("label.stack", {}, "To, included", this.last),
            h("label.stack", {}, "Step", this.step),
        ]
    }

    #makeChoices() {
        const values = this.kind === "check" ? [true, false] : this.schema.enum.filter((value) => value !== null)
        this.boxes = values.map((value) => ({ value, box: h("input", { type: "checkbox", checked: true }) }))
        return h(
            "span.checks",
            { role: "group", "aria-label": `Values of ${this.name}` },
            this.boxes.map(({ value, box }) => h("label", {}, box, textOf(value))),
        )
    }

    #makeList() {
        this.list = h("textarea.code", { rows: 3, spellcheck: "false" })
        return h("label.stack.grow", {}, "Values, one per line", this.list)
    }

    /** What the server takes for an axis; undefined while nothing is given. */
    read() {
        if (this.isRange) {
            if (!this.first.value || !this.last.value) return undefined
            const [first, last] = [this.first.value, this.last.value].map((text) =>
                this.kind === "number" ? Number(text) : text,
            )
            return { first, last, step: this.step.value || null }
        }
        if (this.kind === "choice" || this.kind === "check") {
            const chosen = this.boxes.filter(({ box }) => box.checked).map(({ value }) => value)
            return chosen.length ? chosen : undefined
        }
        const lines = this.list.value
            .split("\n")
            .map((line) => line.trim())
            .filter(Boolean)
        return lines.length ? lines.map((line) => readText(line, this.schema)) : undefined
    }

    show(message) {
        this.error.textContent = message
        this.error.hidden = !message
    }
}

// One parameter in a form: its control, where its value comes from, and what is wrong with it.
import { h, replace } from "./dom.js"
import { isSame, kindOf, makeControl, readText, textOf, unwrap } from "./controls.js"

const TOKENS = [
    ["", "this value"],
    ["{{ scheduled_date }}", "the day it is due"],
    ["{{ scheduled_date - 1d }}", "the day before"],
    ["{{ scheduled_time }}", "the time it is due"],
    ["{{ last_success }}", "its last success"],
    ["other", "another token…"],
]

const withDots = (parts) => parts.map((part, index) => [index ? " · " : "", part])
const isToken = (value) => typeof value === "string" && value.includes("{{")

export class Field {
    /** *hasTokens*: a date may stand for the time that a schedule's run is due. */
    constructor(name, schema, { prefix, hasTokens = false, choices = [], required = false, onchange }) {
        const { schema: inner, isNullable } = unwrap(schema)
        const extra = schema["x-nbflow"] ?? {}
        Object.assign(this, { name, schema, inner, isNullable, extra, required, onchange })
        this.id = `${prefix}-${name}`
        this.default = schema.default
        this.isSecret = inner.format === "password"
        this.isTouched = false
        const hasDefault = this.default !== undefined && this.default !== null
        this.control = makeControl(inner, {
            id: this.id,
            widget: extra.widget ?? {},
            sample: hasDefault ? this.default : undefined,
            hasEmpty: !hasDefault,
            suggestions: inner.type === "string" && !inner.enum ? choices.map(String) : [],
        })
        this.token = hasTokens && ["date", "datetime", "text"].includes(kindOf(inner)) ? this.#makeToken() : null
        this.#build()
        this.reset({ quiet: true })
    }

    #build() {
        const { control, id } = this
        control.input.id = id
        this.error = h("p.field-error", { id: `${id}-error`, hidden: true })
        this.mark = h("span.mark", { hidden: true }, "changed")
        this.resetButton = h(
            "button.link",
            { type: "button", hidden: true, onclick: () => this.reset(), "aria-label": `Reset ${this.name}` },
            "reset",
        )
        this.none =
            this.isNullable && h("input", { type: "checkbox", id: `${id}-none`, onchange: () => this.#setNone() })
        const label = control.isGroup
            ? h("span.label", { id: `${id}-label` }, this.name)
            : h("label.label", { for: id, id: `${id}-label` }, this.name)
        if (control.isGroup) control.input.setAttribute("aria-labelledby", `${id}-label`)
        const type = h("p.meta", { id: `${id}-type` }, this.#describeType())
        const notes = this.#describe()
        const meta = notes.length > 0 && h("p.meta", { id: `${id}-meta` }, notes)
        const help = this.schema.description && h("p.help", { id: `${id}-help` }, this.schema.description)
        const described = [help && "help", "type", meta && "meta", "error"].filter(Boolean)
        control.input.setAttribute("aria-describedby", described.map((part) => `${id}-${part}`).join(" "))
        if (this.required) control.input.setAttribute("aria-required", "true")
        if (this.extra.computed && !this.isSecret) control.input.setAttribute("placeholder", "computed in each run")
        if (this.isSecret && !this.required) control.input.setAttribute("placeholder", "as the notebook has it")
        this.node = h(
            "div.field",
            { dataset: { name: this.name } },
            h(
                "div.field-head",
                {},
                label,
                this.required && h("span.required", {}, "required"),
                this.mark,
                this.resetButton,
                type,
            ),
            h(
                "div.field-body",
                {},
                !control.isInline && help,
                h(
                    "div.field-control",
                    {},
                    this.token,
                    control.node,
                    control.isInline && help,
                    this.none && h("label.none", { for: `${id}-none` }, this.none, "not set"),
                ),
                this.error,
                meta,
            ),
        )
        for (const kind of ["input", "change"])
            control.node.addEventListener(kind, () => {
                if (this.none) this.none.checked = false
                this.#changed()
            })
    }

    #makeToken() {
        const kind = kindOf(this.inner)
        const offered = TOKENS.filter(
            ([token]) =>
                kind === "text" || token === "" || token === "other" || (kind === "date") === token.includes("_date"),
        )
        const select = h(
            "select.token",
            { "aria-label": `${this.name}: where the value comes from` },
            offered.map(([value, words]) => h("option", { value }, words)),
        )
        this.tokenText = h("input", { type: "text", hidden: true, "aria-label": `${this.name}: token` })
        select.addEventListener("change", () => {
            this.#showToken()
            this.#changed()
        })
        this.tokenText.addEventListener("input", () => this.#changed())
        this.tokenSelect = select
        return [select, this.tokenText]
    }

    #showToken() {
        const chosen = this.tokenSelect.value
        this.control.node.hidden = chosen !== ""
        this.tokenText.hidden = chosen !== "other"
    }

    #describeType() {
        const { inner, extra } = this
        const parts = [h("code", {}, extra.type ?? inner.type ?? "any")]
        const low = inner.minimum ?? inner.exclusiveMinimum
        const high = inner.maximum ?? inner.exclusiveMaximum
        if (low !== undefined && high !== undefined) parts.push(`${textOf(low)} to ${textOf(high)}`)
        else if (low !== undefined) parts.push(`${inner.minimum === undefined ? "above" : "from"} ${textOf(low)}`)
        else if (high !== undefined) parts.push(`${inner.maximum === undefined ? "below" : "up to"} ${textOf(high)}`)
        if (inner.multipleOf) parts.push(`in steps of ${inner.multipleOf}`)
        return withDots(parts)
    }

    #describe() {
        const { inner, extra } = this
        const parts = []
        if (inner.pattern) parts.push(["matching ", h("code", {}, inner.pattern.replace(/^\^\(\?:(.*)\)\$$/, "$1"))])
        if (inner.format === "duration") parts.push("such as PT90M, P1DT12H or 1:30:00")
        if (this.control.note) parts.push(this.control.note)
        if (extra.computed && !this.isSecret) parts.push(["computed in each run: ", h("code", {}, extra.computed)])
        if (extra.default_text) parts.push(["default ", h("code", {}, extra.default_text)])
        if (this.isSecret)
            parts.push(["never recorded; or ", h("code", {}, "env:NAME"), " / ", h("code", {}, "file:PATH")])
        return withDots(parts)
    }

    #setNone() {
        if (this.none.checked) this.control.clear()
        this.#changed()
        if (!this.none.checked) this.control.input.focus()
    }

    #changed() {
        this.isTouched = true
        this.refresh()
        this.onchange?.(this)
    }

    /** The value: undefined where none is given. Throws Error with what is wrong. */
    read() {
        if (this.tokenSelect?.value === "other") return this.tokenText.value || undefined
        if (this.tokenSelect?.value) return this.tokenSelect.value
        if (this.none?.checked) return null
        const value = this.control.read()
        if (value !== undefined) return value
        // an empty field is an empty text or list, where one is not what stands for "the default"
        const { kind } = this.control
        if (this.default === undefined || this.default === null)
            return this.isNullable && kind === "text" && this.isTouched ? "" : undefined
        return { text: "", lines: [] }[kind]
    }

    write(value) {
        if (this.token) {
            const known = [...this.tokenSelect.options].some((option) => option.value === value)
            this.tokenSelect.value = isToken(value) ? (known ? value : "other") : ""
            this.tokenText.value = this.tokenSelect.value === "other" ? value : ""
            this.#showToken()
        }
        if (this.none) this.none.checked = value === null
        if (value === null || value === undefined || (this.token && isToken(value))) this.control.clear()
        else if (!this.control.write(value)) return false
        this.refresh()
        return true
    }

    writeText(text) {
        this.isTouched = true
        return this.write(readText(text, this.schema))
    }

    reset({ quiet = false } = {}) {
        this.write(this.default)
        this.isTouched = false
        this.show("")
        this.refresh()
        if (!quiet) {
            this.onchange?.(this)
            this.control.input.focus()
        }
    }

    /** Whether its value is another than its default. */
    get isChanged() {
        try {
            const value = this.read()
            return value !== undefined && !isSame(value, this.default)
        } catch {
            return true
        }
    }

    refresh() {
        if (!this.mark) return
        const isChanged = this.isChanged
        this.mark.hidden = !isChanged || this.required
        this.resetButton.hidden = !isChanged
    }

    show(message) {
        const isWrong = Boolean(message)
        replace(this.error, message)
        this.error.hidden = !isWrong
        this.node.classList.toggle("wrong", isWrong)
        if (isWrong) this.control.input.setAttribute("aria-invalid", "true")
        else this.control.input.removeAttribute("aria-invalid")
    }
}

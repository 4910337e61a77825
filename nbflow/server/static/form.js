// The parameters of a flow as a form, and as the JSON that it stands for: two views of the same values.
import { $, h, replace } from "./dom.js"
import { isSame } from "./controls.js"
import { Field } from "./field.js"
import { parse } from "./api.js"

const PAUSE = 350 // ms without a key before the server is asked

export class ParameterForm {
    /**
     * *check*: sends the values to the server and throws Problem with `errors`. *hasTokens*: for a schedule.
     * *onchange* hears of every change, *onverified* of what the server found.
     */
    constructor(
        place,
        { schema, parameters = [], prefix = "p", check, hasTokens = false, onchange = () => {}, onverified = () => {} },
    ) {
        Object.assign(this, { place, schema, check, onchange, onverified })
        this.accepts = schema.additionalProperties === true
        this.extra = {}
        const choices = Object.fromEntries(parameters.map(({ name, choices }) => [name, choices ?? []]))
        const required = new Set(schema.required ?? [])
        this.fields = new Map(
            Object.entries(schema.properties).map(([name, property]) => [
                name,
                new Field(name, property, {
                    ...{ prefix, hasTokens, choices: choices[name], required: required.has(name) },
                    onchange: (field) => this.#changed(field),
                }),
            ]),
        )
        this.#build(prefix)
    }

    #build(prefix) {
        this.list = h(
            "div.fields",
            {},
            [...this.fields.values()].map((field) => field.node),
        )
        if (!this.fields.size)
            this.list.append(
                h(
                    "p.quiet",
                    {},
                    "This notebook declares no parameters: run it as it is, or tag the cell that assigns them with “parameters”.",
                ),
            )
        this.json = h("textarea.code", {
            id: `${prefix}-json`,
            rows: 12,
            spellcheck: "false",
            "aria-describedby": `${prefix}-json-error`,
        })
        this.jsonError = h("p.field-error", { id: `${prefix}-json-error`, hidden: true })
        this.raw = h(
            "div.raw",
            { hidden: true },
            h("label.label", { for: `${prefix}-json` }, "Parameters as JSON"),
            this.json,
            this.jsonError,
        )
        this.json.addEventListener("input", () => this.#takeJson())
        replace(this.place, this.list, this.raw)
    }

    /** Show the JSON or the fields; both hold the same. */
    toggle(isRaw) {
        if (isRaw) this.#showJson()
        this.raw.hidden = !isRaw
        this.list.hidden = isRaw
    }

    get isRaw() {
        return !this.raw.hidden
    }

    #showJson() {
        this.json.value = JSON.stringify(this.collect().all, null, 2)
        this.#sayJson("")
    }

    #sayJson(message) {
        this.jsonError.textContent = message
        this.jsonError.hidden = !message
        if (message) this.json.setAttribute("aria-invalid", "true")
        else this.json.removeAttribute("aria-invalid")
    }

    #takeJson() {
        let values
        try {
            values = parse(this.json.value || "{}")
            if (values === null || Array.isArray(values) || typeof values !== "object")
                throw new Error("expected an object: {…}")
        } catch (error) {
            this.#sayJson(`Not JSON yet: ${error.message}`)
            return
        }
        this.#sayJson("")
        this.extra = {}
        for (const field of this.fields.values()) {
            field.isTouched = true
            field.write(field.name in values ? values[field.name] : field.default)
        }
        for (const [name, value] of Object.entries(values)) if (!this.fields.has(name)) this.extra[name] = value
        this.#changed(null)
    }

    #changed(field) {
        if (this.isRaw && field) this.#showJson()
        this.onchange(this)
        clearTimeout(this.timer)
        if (this.check) this.timer = setTimeout(() => this.verify(), PAUSE)
    }

    /** Leave these out: their values are given elsewhere. */
    leaveOut(names) {
        this.left = new Set(names)
        for (const field of this.fields.values()) field.node.hidden = this.left.has(field.name)
    }

    /** `{ values, all, faults }`: what is to be sent, everything that has a value, and what can't be read. */
    collect() {
        const [values, all, faults] = [{ ...this.extra }, {}, {}]
        for (const field of this.fields.values()) {
            if (this.left?.has(field.name)) continue
            try {
                const value = field.read()
                if (value === undefined) continue
                if (!field.isSecret || value !== "") all[field.name] = value
                if (!isSame(value, field.default)) values[field.name] = value
            } catch (error) {
                faults[field.name] = error.message
            }
        }
        return { values, all: { ...all, ...this.extra }, faults }
    }

    /** Values as they were recorded; masked ones are left for the person to give. */
    fill(values, { keep = false } = {}) {
        if (!keep) this.reset()
        for (const [name, value] of Object.entries(values)) {
            const field = this.fields.get(name)
            if (field?.isSecret && value === "********") continue
            if (field) {
                field.isTouched = true
                field.write(value)
            } else if (!keep) this.extra[name] = value
        }
        this.#changed(null)
        if (this.isRaw) this.#showJson()
    }

    reset() {
        this.extra = {}
        for (const field of this.fields.values()) field.reset({ quiet: true })
        this.clearErrors()
        if (this.isRaw) this.#showJson()
        this.onchange(this)
    }

    /** Ask the server about what is filled in; untouched fields are not scolded. */
    async verify() {
        const { values, faults } = this.collect()
        let errors = {}
        try {
            await this.check(values)
        } catch (problem) {
            errors = problem.errors ?? {}
        }
        errors = { ...errors, ...faults }
        for (const field of this.fields.values()) field.show(field.isTouched ? (errors[field.name] ?? "") : "")
        if (this.isRaw) {
            const touched = Object.entries(errors).filter(([name]) => this.fields.get(name)?.isTouched ?? true)
            this.#sayJson(touched.map(([name, message]) => `${name}: ${message}`).join("\n"))
        }
        this.onverified(errors)
        return errors
    }

    clearErrors() {
        clearTimeout(this.timer)
        for (const field of this.fields.values()) field.show("")
    }

    /** Every message at its field; what has no field is returned. */
    showErrors(errors) {
        clearTimeout(this.timer)
        const rest = {}
        for (const field of this.fields.values()) field.show(errors[field.name] ?? "")
        for (const [name, message] of Object.entries(errors)) if (!this.fields.has(name)) rest[name] = message
        if (this.isRaw)
            this.#sayJson(
                Object.entries(errors)
                    .map(([name, message]) => `${name}: ${message}`)
                    .join("\n"),
            )
        return rest
    }
}

/** The list of everything wrong, above the form, with the focus, each a link to its field. */
export function summariseErrors(place, title, errors, form, { focus = true } = {}) {
    const items = Object.entries(errors).map(([name, message]) => {
        const field = form?.fields.get(name)
        const go = (event) => {
            event.preventDefault()
            field.control.input.focus()
        }
        return h(
            "li",
            {},
            field && !form.isRaw ? h("a", { href: `#${field.id}`, onclick: go }, name) : name,
            `: ${message}`,
        )
    })
    replace(
        place,
        h(
            "div.problem",
            { role: "alert", tabindex: "-1" },
            h("p", {}, h("strong", {}, title)),
            items.length > 0 && h("ul", {}, items),
        ),
    )
    if (focus) $(".problem", place).focus()
}

// The form that runs a flow: its parameters, how it is run, and what ran recently.
import { $, act, ago, count, h, replace, say, summarise, wordsOf } from "./dom.js"
import { get, href, makeKey, post, Problem } from "./api.js"
import { offerCopies } from "./copies.js"
import { isSame } from "./controls.js"
import { ParameterForm, summariseErrors } from "./form.js"

const NUMBERS = ["timeout", "cell_timeout", "retries", "retry_delay"]

function readOptions(form) {
    const { elements } = form
    const body = {}
    const options = {}
    if (elements.name.value.trim()) body.name = elements.name.value.trim()
    const tags = elements.tags.value.split(/[,\s]+/).filter(Boolean)
    if (tags.length) body.tags = tags
    if (elements.skip_completed.checked) body.skip_completed = true
    if (elements.kernel.value.trim()) options.kernel = elements.kernel.value.trim()
    for (const name of NUMBERS) if (elements[name].value !== "") options[name] = Number(elements[name].value)
    if (elements.report.checked) options.report = "html"
    if (Object.keys(options).length) body.options = options
    return body
}

function writeOptions(form, run) {
    const { elements } = form
    elements.tags.value = run.tags.join(", ")
    elements.kernel.value = run.options.kernel ?? ""
    for (const name of NUMBERS) elements[name].value = run.options[name] || ""
    elements.report.checked = run.options.report === "html"
    $("#options").open =
        run.tags.length > 0 || Boolean(run.options.kernel || run.options.timeout || run.options.retries)
}

export class RunForm {
    /** *started* gets the run that was made; without it the page goes there. */
    constructor(target, { started = (run) => location.assign(href(`runs/${run.id}`)) } = {}) {
        this.target = target
        this.started = started
        this.form = $("#run-form")
        this.key = makeKey()
        this.origin = {}
        this.parameters = new ParameterForm($("#fields"), {
            ...{ schema: target.schema, parameters: target.parameters, check: target.check },
            onchange: () => this.#changed(),
            onverified: (errors) => this.#refresh(errors),
        })
        this.form.addEventListener("submit", (event) => {
            event.preventDefault()
            act($("#run"), () => this.submit())
        })
        this.form.addEventListener("keydown", (event) => {
            if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.form.requestSubmit()
        })
        $("#raw").addEventListener("click", () => this.toggle())
        $("#reset").addEventListener("click", () => {
            this.parameters.reset()
            replace($("#run-problem"))
        })
        if ($("#copies")) offerCopies(() => (this.describeOther ?? (() => this.describe()))())
        this.#changed()
    }

    toggle() {
        const isRaw = !this.parameters.isRaw
        this.parameters.toggle(isRaw)
        $("#raw").setAttribute("aria-pressed", String(isRaw))
    }

    #changed() {
        this.key = makeKey()
        const fields = this.parameters ? [...this.parameters.fields.values()] : []
        const changed = fields.filter((field) => !field.required && field.isChanged).length
        $("#changes").textContent = changed ? `${count(changed, "value")} changed from the default` : ""
        $("#reset").disabled = !fields.some((field) => field.isChanged)
    }

    describe() {
        const { reference, request, page, query } = this.target
        const { values } = this.parameters.collect()
        const secrets = [...this.parameters.fields.values()]
            .filter((field) => field.isSecret)
            .map((field) => field.name)
        return { flow: reference, values, secrets, request, page, query }
    }

    async submit() {
        const { values, all, faults } = this.parameters.collect()
        const errors = Object.keys(faults).length ? { ...(await this.#askServer(values)), ...faults } : {}
        if (Object.keys(errors).length) return this.#refuse(errors)
        const { path, body } = this.target.request
        const parameters = this.target.isRepeat ? this.#findNew(all) : values
        try {
            const run = await post(
                path,
                { ...body, ...readOptions(this.form), parameters },
                { headers: { "Idempotency-Key": this.key } },
            )
            this.parameters.clearErrors()
            replace($("#run-problem"))
            this.key = makeKey()
            return this.started(run)
        } catch (problem) {
            if (!(problem instanceof Problem)) throw problem
            return this.#refuse(problem.errors, problem.message)
        }
    }

    // A repeated run keeps the values of the one before, but for those that are told anew.
    #findNew(all) {
        const { schema } = this.target
        const before = (name) => (name in this.origin ? this.origin[name] : schema.properties[name]?.default)
        return Object.fromEntries(Object.entries(all).filter(([name, value]) => !isSame(value, before(name))))
    }

    async #askServer(values) {
        if (!this.target.check) return {}
        return this.target.check(values).then(
            () => ({}),
            (problem) => problem.errors ?? {},
        )
    }

    // What was refused disappears from the list as it is put right.
    #refresh(errors) {
        if (!$("#run-problem").firstChild) return
        if (Object.keys(errors).length) this.#list(errors, "", { focus: false })
        else replace($("#run-problem"))
    }

    #refuse(errors, text) {
        this.parameters.showErrors(errors)
        this.#list(errors, text)
    }

    #list(errors, text, options) {
        const number = Object.keys(errors).length
        const title = number ? `${count(number, "value")} can't be used. Nothing was started.` : text
        summariseErrors($("#run-problem"), title, errors, this.parameters, options)
    }

    /** What the address asks for: `?from=RUN`, then `?p.day=…`. */
    async fillFromAddress() {
        const given = new URLSearchParams(location.search)
        if (given.get("from"))
            try {
                const run = await get(`runs/${given.get("from")}`)
                this.origin = run.parameters
                this.parameters.fill(run.parameters)
                writeOptions(this.form, run)
                $("#from").hidden = false
                replace(
                    $("#from"),
                    "Values of ",
                    h("a", { href: href(`runs/${run.id}`) }, run.name),
                    ". Change what you like, then run.",
                )
            } catch (error) {
                say(error.message, "error")
            }
        const unknown = []
        for (const [key, text] of given) {
            if (!key.startsWith("p.")) continue
            const field = this.parameters.fields.get(key.slice(2))
            if (field && !field.isSecret) field.writeText(text)
            else unknown.push(key.slice(2))
        }
        if (unknown.length) say(`Not taken from the link: ${unknown.join(", ")}.`, "error")
        this.#changed()
        if ([...given.keys()].some((key) => key.startsWith("p.")) && this.target.check) await this.parameters.verify()
    }

    /** The distinct sets of values that ran recently, to start from. */
    offerRecent(runs) {
        const seen = new Set()
        const distinct = runs.filter((run) => {
            const key = JSON.stringify(run.parameters)
            if (seen.has(key)) return false
            seen.add(key)
            return true
        })
        const select = $("#recent")
        $("#recent-box").hidden = !distinct.length
        const chosen = select.value
        replace(
            select,
            h("option", { value: "" }, "choose a run…"),
            distinct
                .slice(0, 15)
                .map((run) =>
                    h(
                        "option",
                        { value: run.id },
                        `${summarise(run.parameters, 4) || "all defaults"} (${wordsOf(run.state)}, ${ago(run.created)})`,
                    ),
                ),
        )
        select.value = chosen
        select.onchange = () => {
            const run = distinct.find((one) => one.id === select.value)
            if (run) this.parameters.fill(run.parameters)
        }
    }
}

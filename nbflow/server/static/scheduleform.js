// Makes a schedule, or changes one, and shows meanwhile when it would run next and with which values.
import { $, act, h, replace, say, summarise, zone } from "./dom.js"
import { call, post, Problem } from "./api.js"
import { RHYTHMS, compose, decompose, wall } from "./cron.js"
import { ParameterForm, summariseErrors } from "./form.js"

const PARTS = ["rhythm", "time", "weekday", "monthday", "minute", "every", "cron"]
const SHOWN = {
    time: ["daily", "weekdays", "weekly", "monthly"],
    weekday: ["weekly"],
    monthday: ["monthly"],
    minute: ["hourly"],
    every: ["every"],
    cron: ["cron"],
}
const MORE = ["starts", "ends"]

export class ScheduleForm {
    /** *done* is called after a schedule was made or changed. */
    constructor(target, done) {
        Object.assign(this, { target, done, known: null })
        this.form = $("#schedule-form")
        replace(
            this.form.elements.rhythm,
            RHYTHMS.map(([value, words]) => h("option", { value }, words)),
        )
        const zones = Intl.supportedValuesOf?.("timeZone") ?? []
        replace(
            $("#zones"),
            ["UTC", ...zones].map((value) => h("option", { value })),
        )
        this.parameters = new ParameterForm($("#schedule-fields"), {
            ...{ schema: target.schema, parameters: target.parameters, prefix: "s", hasTokens: true },
            onchange: () => this.#soon(),
        })
        this.form.addEventListener("input", () => this.#soon())
        this.form.addEventListener("change", () => this.#showParts())
        this.form.addEventListener("submit", (event) => {
            event.preventDefault()
            act($("#schedule-save"), () => this.save())
        })
        $("#schedule-cancel").addEventListener("click", () => this.close())
    }

    open(schedule = null, values = null) {
        this.known = schedule
        this.form.reset()
        const { elements } = this.form
        elements.timezone.value = schedule?.timezone ?? zone
        elements.name.value = schedule?.name ?? ""
        for (const [name, value] of Object.entries(schedule ? decompose(schedule) : { rhythm: "daily", time: "07:00" }))
            elements[name].value = value ?? ""
        for (const name of ["catchup", "overlap", "run_name"])
            elements[name].value = schedule?.[name] ?? elements[name].dataset.default ?? ""
        elements.tags.value = schedule?.tags?.join(", ") ?? ""
        for (const name of MORE) elements[name].value = schedule?.[name] ? toLocal(schedule[name]) : ""
        this.parameters.fill(schedule?.parameters ?? { ...this.#guess(), ...values })
        this.parameters.clearErrors()
        replace($("#schedule-problem"))
        $("#schedule-title").textContent = schedule ? `Edit ${schedule.name}` : "New schedule"
        $("#schedule-save").textContent = schedule ? "Save changes" : "Create schedule"
        this.form.hidden = false
        const opener = $("#schedule-new")
        if (opener) opener.hidden = true
        this.#showParts()
        this.#soon()
        this.form.scrollIntoView({ block: "start" })
        elements.rhythm.focus()
    }

    // A day that every run needs is most often the day on which it is due.
    #guess() {
        const tokens = { date: "{{ scheduled_date }}", datetime: "{{ scheduled_time }}" }
        const needed = [...this.parameters.fields.values()].filter(
            (field) => field.required && tokens[field.control.kind],
        )
        return Object.fromEntries(needed.map((field) => [field.name, tokens[field.control.kind]]))
    }

    close() {
        this.form.hidden = true
        const opener = $("#schedule-new")
        if (!opener) return
        opener.hidden = false
        opener.focus()
    }

    #showParts() {
        const chosen = this.form.elements.rhythm.value
        for (const [name, rhythms] of Object.entries(SHOWN)) {
            const box = this.form.elements[name].closest("label")
            box.hidden = !rhythms.includes(chosen)
        }
    }

    #body() {
        const { elements } = this.form
        const { values, faults } = this.parameters.collect()
        const when = compose(Object.fromEntries(PARTS.map((name) => [name, elements[name].value.trim()])))
        const body = {
            ...when,
            timezone: elements.timezone.value.trim(),
            catchup: elements.catchup.value,
            overlap: elements.overlap.value,
            parameters: values,
        }
        const tags = elements.tags.value.split(/[,\s]+/).filter(Boolean)
        if (tags.length || this.known?.tags.length) body.tags = tags
        for (const name of ["name", "run_name"])
            if (elements[name].value.trim()) body[name] = elements[name].value.trim()
        for (const name of MORE) {
            if (elements[name].value) body[name] = new Date(elements[name].value).toISOString()
            else if (this.known?.[name]) body[name] = null
        }
        if (this.known) body.unset = Object.keys(this.known.parameters).filter((name) => !(name in values))
        return { body, faults }
    }

    #reference() {
        return this.target.path ? { path: this.target.path } : { flow: this.target.reference }
    }

    #soon() {
        clearTimeout(this.timer)
        this.timer = setTimeout(() => this.preview(), 350)
    }

    async preview() {
        if (this.form.hidden) return
        const place = $("#schedule-preview")
        const { body, faults } = this.#body()
        const turn = (this.turn = (this.turn ?? 0) + 1)
        let answer
        try {
            const { name, ...rest } = body
            answer = this.known
                ? await post(`schedules/${this.known.id}/preview`, rest)
                : await post("schedules/preview", { ...this.#reference(), ...dropNulls(rest) })
        } catch (problem) {
            if (turn !== this.turn) return
            const errors = { ...problem.errors, ...faults }
            for (const field of this.parameters.fields.values())
                field.show(field.isTouched ? (errors[field.name] ?? "") : "")
            const names = Object.keys(errors)
            replace(
                place,
                h(
                    "p.quiet",
                    {},
                    names.length
                        ? `The next runs are shown once these are right: ${names.join(", ")}.`
                        : problem.message,
                ),
            )
            return
        }
        if (turn !== this.turn) return
        this.parameters.showErrors(faults)
        replace(
            place,
            h(
                "div.scroll",
                { tabindex: "0", role: "region", "aria-label": "Next runs" },
                h(
                    "table.list",
                    {},
                    h(
                        "thead",
                        {},
                        h(
                            "tr",
                            {},
                            ["Next runs", "Values"].map((name) => h("th", { scope: "col" }, name)),
                        ),
                    ),
                    h(
                        "tbody",
                        {},
                        answer.next_times.map(({ time, parameters }) =>
                            h(
                                "tr",
                                {},
                                h("td.number", {}, wall(time)),
                                h("td.code", {}, summarise(parameters, 8) || h("span.quiet", {}, "all defaults")),
                            ),
                        ),
                    ),
                ),
            ),
        )
    }

    async save() {
        const { body, faults } = this.#body()
        if (Object.keys(faults).length) return this.#refuse(faults)
        try {
            if (this.known) await call("PATCH", `schedules/${this.known.id}`, body)
            else await post("schedules", { ...this.#reference(), ...body })
        } catch (problem) {
            if (!(problem instanceof Problem)) throw problem
            return this.#refuse(problem.errors, problem.message)
        }
        say(this.known ? "Schedule changed." : "Schedule created.")
        this.close()
        return this.done()
    }

    #refuse(errors, text = "Some values can't be used.") {
        this.parameters.showErrors(errors)
        summariseErrors(
            $("#schedule-problem"),
            Object.keys(errors).length ? "This can't be scheduled yet." : text,
            errors,
            this.parameters,
        )
    }
}

const dropNulls = (body) => Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null))

function toLocal(iso) {
    const date = new Date(iso)
    return new Date(date.getTime() - date.getTimezoneOffset() * 60000).toISOString().slice(0, 16)
}

// Schedules, one a card: when, with what, what comes next, what it made; and what can be done with it.
import { $, act, ask, badge, count, h, icon, lookOf, moment, replace, say, summarise, wordsOf } from "./dom.js"
import { call, flowPath, href, post } from "./api.js"
import { describe, wall } from "./cron.js"

function recent(schedule) {
    if (!schedule.runs?.length) return h("span.quiet", {}, "no run yet")
    return h(
        "span.dots",
        {},
        schedule.runs.slice(0, 10).map((run) => {
            const words = `${wordsOf(run.state)}${run.scheduled_time ? `, due ${wall(run.scheduled_time)}` : ""}`
            return h(
                "a.dot",
                {
                    href: href(`runs/${run.id}`),
                    title: words,
                    "aria-label": words,
                    dataset: { state: lookOf(run.state) },
                },
                icon(run.state),
            )
        }),
        h("a.small", { href: href("runs", { schedule_id: schedule.id }) }, "all"),
    )
}

/** The next times with the values that the schedule's tokens stand for then. */
async function showValues(schedule, box) {
    try {
        const { next_times } = await post(`schedules/${schedule.id}/preview`)
        const line = ({ time, parameters }) => h("li", {}, wall(time), " ", h("code", {}, summarise(parameters, 8)))
        replace($("ol", box), next_times.map(line))
    } catch (error) {
        say(error.message, "error")
    }
}

function next(schedule) {
    if (schedule.paused) return h("span.quiet", {}, "paused: nothing is due")
    if (!schedule.next_times.length) return h("span.quiet", {}, "nothing more is due")
    const [first, ...rest] = schedule.next_times
    return [
        moment(first),
        h(
            "details.unfold",
            { ontoggle: (event) => event.currentTarget.open && showValues(schedule, event.currentTarget) },
            h("summary", {}, wall(first)),
            h(
                "ol.times",
                {},
                [first, ...rest].map((time) => h("li", {}, wall(time))),
            ),
        ),
    ]
}

const line = (name, ...value) => [h("dt", {}, name), h("dd", {}, value)]

/** *edit* is called with the schedule; *changed* after anything was done. */
export function scheduleCard(schedule, { edit, changed, hasFlow = false }) {
    const run = (words, action, kind) => {
        const node = h("button.small", { type: "button", class: kind ? `small ${kind}` : "small" }, words)
        node.addEventListener("click", () => act(node, action))
        return node
    }
    const actions = [
        run("Run now", async () => {
            const made = await post(`schedules/${schedule.id}/run`)
            location.assign(href(`runs/${made.id}`))
        }),
        edit && run("Edit…", () => edit(schedule)),
        schedule.paused
            ? run(
                  "Resume",
                  async () => (
                      await post(`schedules/${schedule.id}/unpause`),
                      say(`${schedule.name} resumed.`),
                      changed()
                  ),
              )
            : run(
                  "Pause",
                  async () => (
                      await post(`schedules/${schedule.id}/pause`),
                      say(`${schedule.name} paused.`),
                      changed()
                  ),
              ),
        run(
            "Remove",
            async () => {
                if (!(await ask(`Remove the schedule ${schedule.name}? Its runs stay.`, "Remove it"))) return
                await call("DELETE", `schedules/${schedule.id}`)
                say(`${schedule.name} removed.`)
                changed()
            },
            "danger",
        ),
    ]
    const isFlow = !schedule.flow.startsWith("/")
    const values = summarise(schedule.parameters, 8)
    return h(
        "article.card",
        { "aria-label": `Schedule ${schedule.name}` },
        h(
            "header",
            {},
            h("h2", {}, h("a.plain", { href: href(`schedules/${schedule.id}`) }, schedule.name)),
            schedule.paused
                ? badge("paused")
                : h("span.state", { dataset: { state: "completed" } }, icon("running"), "active"),
            h("span.when", {}, describe(schedule), " ", h("span.quiet", {}, schedule.timezone)),
        ),
        h(
            "dl.facts",
            {},
            hasFlow &&
                line(
                    "Flow",
                    isFlow
                        ? [
                              h("a", { href: `${href(flowPath(schedule.flow))}#schedules` }, schedule.flow),
                              schedule.flow_version ? ` v${schedule.flow_version}, always` : "",
                          ]
                        : [h("code", {}, schedule.flow), h("span.quiet", {}, " (not registered: the file as it is then)")],
                ),
            line("Next", next(schedule)),
            line("Values", values ? h("code", {}, values) : h("span.quiet", {}, "all defaults")),
            line("Runs", recent(schedule)),
            schedule.note && line("Note", schedule.note),
        ),
        h("div.row", {}, actions),
    )
}

export function showSchedules(place, schedules, options, nothing) {
    $("#schedule-count") && ($("#schedule-count").textContent = schedules.length || "")
    if (!schedules.length) return replace(place, nothing)
    return replace(
        place,
        h("p.offscreen", { role: "status" }, count(schedules.length, "schedule")),
        schedules.map((schedule) => scheduleCard(schedule, options)),
    )
}

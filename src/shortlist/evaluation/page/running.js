// The course of the training, what the models cost, and further seeds.

const ENDINGS = {
  epochs: "It ended after the number of epochs that was set.",
  patience: "It ended because validation had not improved for a while.",
  interrupt: "It was interrupted.",
};

function trainingPart(series, isOne) {
  const { selection, refit } = series.artifact.report.training ?? {};
  const epochs = list(selection?.epochs).filter((one) => isNumber(one?.epoch));
  if (epochs.length === 0) return null;
  const figure = series.artifact.report.comparisons?.figure;
  const best = isNumber(selection.best_epoch) ? { x: selection.best_epoch, text: `best: epoch ${selection.best_epoch}` } : null;
  const chart = (key, label, title, write) => {
    const points = epochs.filter((one) => isNumber(one[key])).map((one) => [one.epoch, one[key]]);
    if (points.length === 0) return null;
    return lineChart({
      title: `${title} by epoch`,
      description: "Left and right arrow keys read the values.",
      yTitle: title,
      xTitle: "epoch",
      lines: [{ series: { ...series, label }, points }],
      write,
      marked: key === "validation" ? best : null,
      height: 230,
      zero: false,
    });
  };
  const again = list(refit?.epochs).length;
  return el(
    "div",
    { class: "training" },
    !isOne && el("h3", { class: "of" }, series.artifact.name),
    el(
      "p",
      {},
      `${many(epochs.length, "epoch")}, the best on validation was epoch ${selection.best_epoch ?? "–"}. ${ENDINGS[selection.ended_by] ?? ""}`,
      again > 0 && ` Then it was trained anew on training and validation parts together, for ${many(again, "epoch")}; that is the model measured here.`,
    ),
    el("div", { class: "pair-of-charts" }, chart("loss", "loss", "Loss · better ↓", (value) => decimals(value)), chart("validation", "validation", `${figure ? figureName(figure) : "Figure"} on validation · better ↑`, decimals)),
  );
}

const short = (value) => (isNumber(value) ? (Number.isInteger(value) ? count(value) : minus(String(Number(value.toPrecision(6))))) : Array.isArray(value) ? `[${value.map(short).join(", ")}]` : words(value));
const NOT_SETTINGS = ["selected_on", "validation", "trials", "seconds"];

/** neighbours 100, shrinkage 0: 8 trials on validation, the best 0.0436, 19 s. */
function selectedText(selected) {
  if (!isRecord(selected)) return "–";
  const settings = entries(selected).filter(([name]) => !NOT_SETTINGS.includes(name)).map(([name, value]) => `${words(name)} ${short(value)}`);
  const best = isNumber(selected.validation) && decimals(selected.validation);
  const tried = isNumber(selected.trials) ? `${many(selected.trials, "trial")} on validation${best ? `, the best ${best}` : ""}` : best && `${best} on validation`;
  const effort = [tried, isNumber(selected.seconds) && duration(selected.seconds)].filter(Boolean);
  return [settings.join(", ") || "–", effort.length > 0 && el("small", {}, effort.join(", "))];
}

function costPart(group, groups) {
  const tiles = group.own.map(({ artifact: { report, name } }) => {
    const { seconds = {}, cost = {} } = report;
    const latency = cost.latency_ms ?? {};
    const shown = [
      ["To train", duration(seconds.fit)],
      ["To select and train baselines", duration(seconds.fit_baselines)],
      ["To evaluate all models", duration(seconds.evaluate)],
      ["Peak memory", isNumber(report.peak_memory_mb) ? `${count(report.peak_memory_mb)} MB` : "–"],
      ["One answer, median", isNumber(latency.median) ? `${latency.median.toFixed(1)} ms` : "–"],
      ["One answer, 95 % within", isNumber(latency.p95) ? `${latency.p95.toFixed(1)} ms` : "–"],
    ].filter(([, value]) => value !== "–");
    return [group.own.length > 1 && el("h3", { class: "of" }, name), shown.length > 0 && el("dl", { class: "tiles" }, shown.map(([label, value]) => el("div", {}, el("dt", {}, label), el("dd", {}, value))))];
  });
  const largest = Math.max(...group.series.map((one) => one.parameters ?? 0));
  const rows = group.series.map((series) => [
    named(series, ownLabel(series)),
    el("span", { class: `size ${paintOf(series)}` }, count(series.parameters), bar(series.parameters, largest)),
    el("span", { class: "selected" }, selectedText(series.selected)),
  ]);
  return [groupHeading(group, groups), tiles, table("Size and selected settings of every model", ["Model", "Parameters", "Settings selected on validation"], rows, "is-cost")];
}

function bar(value, largest) {
  if (!isNumber(value) || largest <= 0) return null;
  return svg("svg", { class: "bar", "aria-hidden": "true" }, svg("rect", { class: "dot", width: `${Math.max(1, (value / largest) * 100)}%`, height: "100%", rx: 2 }));
}

/** Figures of further training seeds of one model. */
function seedsPart(series, isOne) {
  const { seeds, comparisons } = series.artifact.report;
  const all = list(seeds?.seeds);
  if (all.length < 2) return null;
  const figures = entries(seeds.figures).filter(([, one]) => list(one?.values).some(isNumber));
  const first = figures.filter(([name]) => name === comparisons?.figure);
  const main = [...first, ...figures.filter(([name]) => name !== comparisons?.figure && ACCURACY.slice(0, 5).includes(parts(name).metric))];
  const row = ([name, one]) => [figureName(name), ...all.map((_, at) => decimals(one.values[at])), decimals(one.mean), isNumber(one.deviation) ? `±${decimals(one.deviation)}` : "–"];
  const head = ["Figure", ...all.map((seed, at) => `seed ${seed}${at ? "" : ", kept"}`), "Mean", "Deviation"];
  return el(
    "div",
    {},
    !isOne && el("h3", { class: "of" }, series.artifact.name),
    table(`Figures of ${series.label} by training seed`, head, main.map(row)),
    figures.length > main.length && el("details", { class: "quiet" }, el("summary", {}, "All figures by seed"), table("All figures by training seed", head, figures.map(row))),
  );
}

// The path stage by stage: what the candidates hold, what ranking adds, what re-ranking costs and buys.

const OF_STAGES = ["diversity", "miscalibration", "coverage", "gini", "popularity", "age"];
const STAGE_DECIMALS = { age: 0 };

function stagesPart(series, isOne) {
  const { k, ceiling, num_queries: numQueries, stages } = series.artifact.report.stages ?? {};
  const rows = list(stages).filter((one) => isRecord(one?.figures));
  if (rows.length === 0) return null;
  const names = OF_STAGES.filter((name) => rows.some((one) => isNumber(one.figures[`${name}@${k}`]?.value)));
  const head = ["Stage", figureName(`ndcg@${k}`), "Change and 95 % interval", ...names.map((name) => figureName(`${name}@${k}`))];
  const row = ({ stage, figures, difference: found }) => [
    words(stage),
    decimals(figures[`ndcg@${k}`]?.value),
    isNumber(found?.difference) ? el("span", { class: `difference ${signClass(found)}` }, signed(found.difference), el("small", { class: "nowrap" }, interval(found, signed))) : "–",
    ...names.map((name) => decimals(figures[`${name}@${k}`]?.value, STAGE_DECIMALS[name] ?? 3)),
  ];
  return el(
    "div",
    { class: "stages", "data-testid": "stages" },
    !isOne && el("h3", { class: "of" }, series.artifact.name),
    isNumber(ceiling?.recall?.value) &&
      el(
        "p",
        {},
        `The ${many(ceiling.candidates, "candidate")} of a question hold ${decimals(ceiling.recall.value)} of what was wanted: `,
        el("b", {}, "no order of them has more recall"),
        `. ${many(numQueries, "question")} were led through all stages.`,
      ),
    table("Every stage of the path, in order", head, rows.map(row)),
  );
}

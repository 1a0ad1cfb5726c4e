// Puts the parts together, leaving out those there is nothing to say in.

function section(id, title, lead, ...content) {
  const shown = content.flat(Infinity).filter(Boolean);
  if (shown.length === 0) return null;
  return el(
    "section",
    { id, "aria-labelledby": `${id}-title`, class: "part" },
    el("div", { class: "side" }, el("h2", { id: `${id}-title` }, title), [lead].flat().filter(Boolean).map((text) => el("p", {}, text))),
    el("div", { class: "body" }, shown),
  );
}

/** A heading before the parts of each group, where there are several. */
const perGroup = (groups, draw) =>
  groups.map((group) => {
    const drawn = [draw(group)].flat(Infinity).filter(Boolean);
    return drawn.length > 0 && [groupHeading(group, groups), drawn];
  });

function measuredParts(groups, isOne) {
  const view = createView(groups);
  const own = groups.flatMap((group) => group.own);
  const numQueries = own[0].artifact.report.num_queries;
  const selecting = figureName(groups[0].selecting);
  return [
    section(
      "verdict",
      "The verdict",
      ["Every model answered the same questions, so differences are taken question by question.", "An interval tells where the value would be, 95 times of 100, had other people of the same kind been asked."],
      own.map((series) => verdict(series, isOne)),
    ),
    section(
      "accuracy",
      "Accuracy",
      ["The dot is the value measured, the bar its 95 % interval.", "Bars of two models may overlap although one is surely better: whether it is stands in the verdict."],
      accuracy(groups, view),
    ),
    section(
      "curves",
      "Longer lists",
      "How accuracy grows with the length of the list. Lists as long as a page matter to people; longer ones tell whether the right items could still be brought up by a second stage.",
      perGroup(groups, curvesPart),
    ),
    section(
      "trade-off",
      "Trade-offs",
      "Two models of the same accuracy can show quite different things. An arrow says better only where a direction is better; elsewhere it is a choice.",
      tradeOff(groups, view, { against: "popularity" }),
    ),
    section(
      "slices",
      "Where it is good, and where not",
      [`${selecting} on parts of the ${many(numQueries, "question")}, beside recommending to everybody what is popular.`, "A difference has a colour only where its interval leaves out zero. Of many parts, some differ by chance."],
      perGroup(groups, slicesPart),
    ),
    section(
      "stages",
      "Stage by stage",
      "What ranking adds to the retriever's list, and what re-ranking costs and buys. A change is against the stage before, question by question. Every other figure of this page is of the models, before re-ranking.",
      own.map((series) => stagesPart(series, isOne)),
    ),
    section(
      "strengths",
      "What re-ranking may cost",
      "One step at a time, from strength 0, which changes nothing, to 1; all others as they are set.",
      own.map((series) => tradeoffsPart(series, isOne)),
    ),
    section("training", "Training", "The loss is what training makes small; validation is what it is stopped by.", own.map((series) => trainingPart(series, isOne))),
    section("cost", "Cost", "What it took on the machine that trained it, and how large the models are. Baselines that have settings had them selected on validation as well.", groups.map((group) => costPart(group, groups))),
    section("seeds", "Other seeds", "The same training begun from other random numbers, measured by the same test.", own.map((series) => seedsPart(series, isOne))),
    section("definitions", "Definitions", null, definitionsPart(groups)),
  ];
}

function build() {
  const data = JSON.parse(document.getElementById("data").textContent);
  const artifacts = readArtifacts(data);
  const comparisons = list(data.comparisons);
  const isOne = artifacts.length === 1;
  const groups = groupsOf(artifacts, comparisons);
  const measured = groups.length > 0 ? measuredParts(groups, isOne) : [];
  const last = measured.splice(-1); // definitions stand behind the limits
  document.getElementById("main").append(
    ...[
      header(artifacts, groups),
      comparisons.length > 0 && section("which", "Which is better", comparisons.some((one) => one.comparable) && "Taken question by question, where both answered the same ones.", whichIsBetter(comparisons, artifacts), settingsThatDiffer(artifacts)),
      ...measured,
      section("limits", "What it is not good for", "Read before deciding.", limitsPart(artifacts)),
      ...last,
      section("settings", "Settings", null, artifacts.map((artifact) => settingsPart(artifact, isOne))),
    ].filter(Boolean),
  );
}

// On paper nothing can be opened: all that fits is, and closed again afterwards.
addEventListener("beforeprint", () => {
  for (const one of document.querySelectorAll("details:not([open], .is-for-screens)")) {
    one.open = true;
    one.dataset.closed = "";
  }
});
addEventListener("afterprint", () => {
  for (const one of document.querySelectorAll("details[data-closed]")) one.open = false;
});

build();

// Parts of the questions and answers: where the model is better than popularity, and where it is not.

const FEW = 30; // questions; fewer say little
const MOST_LOSSES = 8; // that are told in words
const KINDS = { person: "People by", item: "Items by", moment: "Moments by" };

function sliceTitle(group) {
  const [kind, name] = String(group).split(": ");
  return name ? `${KINDS[kind] ?? words(kind)} ${words(name)}` : words(group);
}

/** Rows of all artifacts of a group, brought together by what they are cut by and which part. */
function sliceRows(group) {
  const rows = new Map();
  for (const series of group.own) {
    for (const one of list(series.artifact.report.slices)) {
      const key = `${one.group}\n${one.name}`;
      if (!rows.has(key)) rows.set(key, { group: one.group, name: one.name, numQueries: one.num_queries, popularity: one.models?.popularity, of: [] });
      rows.get(key).of.push({ series, figure: one.models?.[series.key], versus: one.versus_popularity });
    }
  }
  return [...rows.values()];
}

function slicesPart(group) {
  const rows = sliceRows(group);
  if (rows.length === 0) return null;
  const isAlone = group.own.length === 1;
  const shown = rows.flatMap((row) => [...(row.numQueries < FEW ? [] : row.of.map((one) => one.figure)), ...(row.numQueries < FEW ? [] : [row.popularity])]);
  const domain = domainOf(shown.length ? shown : rows.flatMap((row) => row.of.map((one) => one.figure)), { zero: true });
  const titles = [...new Set(rows.map((row) => row.group))];
  return [
    losses(rows, isAlone),
    el("div", { class: "legend", "aria-hidden": "true" }, group.own.map((series) => named(series)), rows.some((row) => row.popularity) && el("span", { class: "named" }, dotKey("plain"), "popularity")),
    titles.map((title) => sliceTable(title, rows.filter((row) => row.group === title), domain, isAlone, group)),
  ];
}

const dotKey = (paint) => svg("svg", { class: `key ${paint}`, viewBox: "-7 -7 14 14", "aria-hidden": "true" }, svg("circle", { class: "dot", r: 5 }));

function sliceTable(title, rows, domain, isAlone, group) {
  const figure = figureName(group.selecting);
  return stripTable({
    caption: sliceTitle(title),
    columns: [sliceTitle(title).replace(/ by .*/, ""), `${figure} and 95 % interval`, "Against popularity"],
    className: "is-slices",
    domain,
    axis: `${figure} · better →`,
    rows: rows.map((row) => ({
      head: el("span", {}, row.name, el("small", {}, many(row.numQueries, "question"), row.numQueries < FEW && ", too few to tell")),
      className: row.numQueries < FEW ? "is-thin" : null,
      marks: [
        ...row.of.map(({ series, figure: one }) => ({ figure: cut(one, domain), paint: paintOf(series) })),
        { figure: cut(row.popularity, domain), paint: "plain" },
      ],
      cells: [row.of.map((one) => difference(one, isAlone))],
    })),
  });
}

/** An interval of few questions may be wider than the axis: it is drawn to its end. */
function cut(figure, [low, high]) {
  if (!isNumber(figure?.value)) return null;
  const inside = (value) => (isNumber(value) ? Math.max(low, Math.min(high, value)) : value);
  return { value: inside(figure.value), low: inside(figure.low), high: inside(figure.high) };
}

function difference({ series, versus }, isAlone) {
  if (!isNumber(versus?.difference)) return el("span", { class: "difference" }, "–");
  return el(
    "span",
    { class: `difference ${signClass(versus)}` },
    !isAlone && svg("svg", { class: `key ${paintOf(series)}`, viewBox: "-7 -7 14 14", role: "img", "aria-label": series.label }, mark(series, 0, 0, 4.5)),
    signed(versus.difference),
    el("small", { class: "nowrap" }, interval(versus, signed)),
  );
}

/** What must be said first: the parts where popularity is the better choice. */
function losses(rows, isAlone) {
  const compared = rows.flatMap((row) => row.of.map((one) => ({ ...one, row }))).filter(({ versus }) => isNumber(versus?.difference));
  if (compared.length === 0) return el("p", { class: "empty" }, "Popularity was not among the models, so nothing is said against it here.");
  const losing = compared.filter(({ versus }) => versus.difference < 0).sort((a, b) => sign(a.versus) - sign(b.versus) || a.versus.difference - b.versus.difference);
  const parts_ = `${count(compared.length)} parts`;
  if (losing.length === 0) return el("p", { class: "callout" }, el("b", {}, "Nowhere below popularity: "), `in none of ${parts_} is the model's value the lower one.`);
  return el(
    "div",
    { class: "callout is-warning", "data-testid": "losses" },
    el("p", {}, el("b", {}, `Below popularity in ${count(losing.length)} of ${parts_}`), " – for these, recommending what is popular did better:"),
    el(
      "ul",
      {},
      losing.slice(0, MOST_LOSSES).map(({ series, versus, row }) =>
        el(
          "li",
          {},
          !isAlone && `${series.label}: `,
          el("b", {}, `${sliceTitle(row.group)}: ${row.name}`),
          `, ${signed(versus.difference)} ${interval(versus, signed)} on ${many(row.numQueries, "question")}`,
          sign(versus) < 0 ? "." : ", which may be chance.",
        ),
      ),
    ),
    losing.length > MOST_LOSSES && el("p", { class: "fine" }, `and ${count(losing.length - MOST_LOSSES)} more, in the tables beneath.`),
  );
}

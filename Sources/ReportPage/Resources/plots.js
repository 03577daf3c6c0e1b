// SPDX-License-Identifier: Apache-2.0
// Hands the plots of the page, which stand beside their canvases as JSON, to Chart.js.
"use strict";
(() => {
  const root = document.documentElement;
  const dashes = { solid: [], dashed: [7, 4], dotted: [2, 3] };
  const marks = ["circle", "rect", "triangle", "rectRot"];
  const colours = ["blue", "orange", "green", "purple", "sky", "vermillion", "yellow", "grey"];
  const colour = name => getComputedStyle(root).getPropertyValue("--" + name).trim();
  const faded = value => value + "40";
  const decimals = new Intl.NumberFormat("en", { maximumSignificantDigits: 4 });
  const number = value => decimals.format(value).replaceAll(",", "\u202f");
  const named = axis => axis.unit ? `${axis.title} (${axis.unit})` : axis.title;
  const isNarrow = () => window.innerWidth < 640;

  /// Where a logarithmic axis has its lines: 1, 2, 5, 10 …, or powers of ten where it is long.
  function steps(axis, low, high) {
    const isInside = ({ value }) => value >= low && value <= high;
    if (axis.ticks) return axis.ticks.map(value => ({ value })).filter(isInside);
    const leading = high / low > (isNarrow() ? 100 : 3000) ? [1] : [1, 2, 5];
    const all = [];
    for (let power = Math.floor(Math.log10(low)); 10 ** power <= high; power++) {
      for (const first of leading) all.push({ value: Number(`${first}e${power}`) });
    }
    return all.filter(isInside);
  }

  /// The lines of a linear axis at round numbers, although the axis ends where the data do.
  function rounded({ ticks, min, max }, wanted) {
    const least = (max - min) / wanted;
    if (!(least > 0)) return ticks;
    const unit = 10 ** Math.floor(Math.log10(least));
    const step = unit * [1, 2, 5, 10].find(factor => factor * unit >= least * 0.999);
    const all = [];
    for (let at = Math.ceil(min / step); at * step <= max; at++) {
      // Not "-0".
      all.push({ value: at * step || 0 });
    }
    return all;
  }

  /// A scale of Chart.js for an axis of a plot.
  function scale(axis, position, extra) {
    const kinds = { linear: "linear", logarithmic: "logarithmic", category: "category" };
    const ticks = { color: colour("soft"), maxRotation: 50, autoSkipPadding: 8 };
    if (axis.scale !== "category") ticks.callback = value => number(value);
    const isHorizontal = position === "bottom";
    const wanted = !isHorizontal ? 6 : isNarrow() ? 5 : 9;
    return {
      type: kinds[axis.scale], position, ticks, min: axis.lowest, max: axis.highest,
      bounds: isHorizontal ? "data" : "ticks", grace: isHorizontal ? "2%" : 0,
      afterBuildTicks: built => {
        if (axis.scale === "logarithmic") built.ticks = steps(axis, built.min, built.max);
        if (axis.scale === "linear") built.ticks = rounded(built, extra.wanted ?? wanted);
      },
      beginAtZero: axis.scale === "linear" && !isHorizontal,
      title: { display: axis.title !== "", text: named(axis), color: colour("soft") },
      grid: {
        color: colour("line"), borderColor: colour("line"),
        display: axis.scale !== "category",
      },
      ...extra,
    };
  }

  /// A bar's place among the categories: nothing where a series has no point.
  function bars(plot, series, value, place) {
    const data = plot.categories.map(() => null);
    for (const point of series.points) {
      data[point[place]] = point.low === undefined ? point[value] : [point.low, point[value]];
    }
    return data;
  }

  function dataset(plot, series, index) {
    const own = colour(series.colour);
    const common = {
      label: series.name, borderColor: own, backgroundColor: own, borderWidth: 2,
      borderDash: dashes[series.stroke], yAxisID: series.pane === "below" ? "below" : "y",
      pointRadius: 0, pointHitRadius: 8, order: index,
    };
    switch (series.style) {
    case "bar":
      return {
        ...common, type: "bar", borderWidth: 0, borderDash: undefined, minBarLength: 2,
        data: plot.shape === "rows" ? bars(plot, series, "x", "y") : bars(plot, series, "y", "x"),
        pointStyle: "rect",
        grouped: plot.shape === "columns" || series.points.every(point => point.low === 0),
        categoryPercentage: 0.86, barPercentage: 0.92, maxBarThickness: 36,
      };
    case "marker":
      return {
        ...common, type: "line", indexAxis: "x", yAxisID: "marks", isMark: true,
        order: index - 1000, pointStyle: "line",
        data: [{ x: series.points[0].x, y: 0 }, { x: series.points[0].x, y: 1 }],
      };
    case "whiskers":
      return {
        ...common, type: "line", isMark: true, borderWidth: 4, borderColor: faded(own),
        data: series.points.flatMap(({ x, y, low }) => [{ x, y: low }, { x, y }, { x, y: NaN }]),
      };
    case "line":
      return {
        ...common, type: "line", data: series.points, pointRadius: 3,
        pointStyle: marks[colours.indexOf(series.colour) % marks.length],
      };
    default:
      return {
        ...common, type: "line", data: series.points, stepped: "before", borderWidth: 1.5,
        pointStyle: series.style === "area" ? "rect" : "line",
        fill: series.style === "area" ? "origin" : false, backgroundColor: faded(own),
      };
    }
  }

  /// What is said of a point under the pointer.
  function said(plot, item) {
    const value = plot.shape === "rows" ? item.parsed.x : item.parsed.y;
    const axis = plot.shape === "rows" ? plot.x
      : item.dataset.yAxisID === "below" ? plot.below : plot.y;
    const unit = axis.unit ? " " + axis.unit : "";
    const name = item.dataset.label ? item.dataset.label + ": " : "";
    const raw = item.raw;
    if (!Array.isArray(raw) || raw[0] === 0) return `${name}${number(value)}${unit}`;
    const span = `${number(raw[0])} to ${number(raw[1])}${unit}`;
    if (axis.scale === "logarithmic") return `${name}${span}`;
    return `${name}${number(raw[1] - raw[0])}${unit}, from ${span}`;
  }

  function configuration(plot) {
    const isRows = plot.shape === "rows";
    const below = plot.below !== undefined;
    const scales = {
      x: scale(plot.x, "bottom", {}),
      y: scale(plot.y, "left", below ? { stack: "panes", stackWeight: 3 } : {}),
    };
    if (isRows) scales.y.ticks.autoSkip = plot.categories.length > 40;
    if (below) {
      scales.below = scale(plot.below, "left", { stack: "panes", stackWeight: 1.2, wanted: 3 });
      // Numbers at the very ends would stand on each other.
      for (const pane of [scales.y, scales.below]) {
        Object.assign(pane, { bounds: "data", grace: "8%" });
      }
      scales.y.weight = 1;
    }
    if (plot.series.some(series => series.style === "marker")) {
      scales.marks = { type: "linear", axis: "y", display: false, offset: false, min: 0, max: 1 };
    }
    const small = isNarrow();
    const hasSteps = plot.series.some(series => series.style === "steps");
    for (const axis of Object.values(scales)) {
      if (axis.ticks) axis.ticks.font = { size: small ? 10 : 12 };
    }
    return {
      type: plot.shape === "lines" ? "line" : "bar",
      data: {
        labels: plot.shape === "lines" ? undefined : plot.categories,
        datasets: plot.series.map((series, index) => dataset(plot, series, index)),
      },
      options: {
        animation: false, responsive: true, maintainAspectRatio: false, normalized: true,
        indexAxis: isRows ? "y" : "x",
        interaction: plot.shape === "lines"
          ? { mode: "nearest", axis: "x", intersect: false }
          : { mode: "index", axis: isRows ? "y" : "x", intersect: false },
        layout: { padding: { right: 8 } },
        scales,
        plugins: {
          legend: {
            display: plot.series.length > 1 && !isOwnRows(plot), position: "top", align: "start",
            labels: {
              color: colour("ink"), usePointStyle: true, boxWidth: 10, boxHeight: 8,
              font: { size: small ? 11 : 12 }, filter: item => item.text !== "",
              sort: (one, other) => one.datasetIndex - other.datasetIndex,
              pointStyleWidth: hasSteps ? 18 : undefined,
            },
          },
          tooltip: {
            filter: item => !item.dataset.isMark && item.raw !== null,
            callbacks: {
              label: item => said(plot, item),
              title: items => items.length === 0 ? "" : plot.shape === "lines"
                ? `${named(plot.x)}: ${number(items[0].parsed.x)}` : items[0].label,
            },
          },
        },
      },
    };
  }

  /// Whether each series is a row of its own name: a legend would say it twice.
  const isOwnRows = plot => plot.shape === "rows"
    && plot.series.every(series => plot.categories.includes(series.name));

  function draw(figure) {
    const canvas = figure.querySelector("canvas");
    const plot = JSON.parse(figure.querySelector("script").textContent);
    Chart.getChart(canvas)?.destroy();
    new Chart(canvas, configuration(plot));
  }

  /// Plots in a closed part have no size: they are drawn when it opens.
  function drawAll(again) {
    for (const figure of document.querySelectorAll("figure")) {
      const isHidden = figure.closest("details:not([open])") !== null;
      const isDrawn = Chart.getChart(figure.querySelector("canvas")) !== undefined;
      if (!isHidden && (again || !isDrawn)) draw(figure);
    }
  }

  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  drawAll(true);
  document.addEventListener("toggle", () => drawAll(false), true);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawAll(true));
  matchMedia("(max-width: 640px)").addEventListener("change", () => drawAll(true));
  // On paper: everything open, in the colours of a light page.
  addEventListener("beforeprint", () => {
    root.classList.add("printing");
    for (const details of document.querySelectorAll("details:not([open])")) {
      details.open = true;
      details.dataset.wasClosed = "";
    }
    drawAll(true);
    for (const chart of Object.values(Chart.instances)) chart.resize();
  });
  addEventListener("afterprint", () => {
    root.classList.remove("printing");
    for (const details of document.querySelectorAll("details[data-was-closed]")) {
      details.open = false;
      delete details.dataset.wasClosed;
    }
    drawAll(true);
  });
})();

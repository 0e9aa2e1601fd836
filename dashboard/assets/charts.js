// Draws the charts of the metrics with uPlot, in the place of the SVG of the server. The data, the
// colours and the dashes are those of the page.

const height = 200; // pixels
const day = 86_400; // seconds

for (const figure of document.querySelectorAll("figure[data-plot]")) draw(figure);

function draw(figure) {
  const plot = JSON.parse(figure.dataset.plot);
  const svg = figure.querySelector("svg.chart");
  const styles = [...svg.querySelectorAll(".line")].map((line) => getComputedStyle(line));
  const holder = document.createElement("div");
  holder.setAttribute("role", "img");
  holder.setAttribute("aria-label", svg.getAttribute("aria-label"));
  svg.before(holder);
  svg.style.display = "none"; // its lines still have the colours

  const data = [plot.times, ...plot.lines.map((line) => line.values)];
  let chart = null;
  function make() {
    chart?.destroy();
    chart = new uPlot(options(figure, plot, styles), data, holder);
  }
  make();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", make);
  new ResizeObserver(() => chart.setSize({ width: figure.clientWidth, height })).observe(figure);
}

function options(figure, plot, styles) {
  const page = getComputedStyle(figure);
  const colour = (name) => page.getPropertyValue(name).trim();
  const axis = {
    stroke: colour("--faint"),
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { stroke: colour("--line"), width: 1 },
  };
  const time = clock(plot.times.at(-1) - plot.times[0]);
  return {
    width: figure.clientWidth,
    height,
    series: [
      { label: figure.dataset.when, value: (_, at) => (at === null ? "" : time(at)) },
      ...plot.lines.map((line, i) => ({
        label: line.label,
        stroke: styles[i].stroke,
        dash: styles[i].strokeDasharray.split(/[ ,]+/).map(parseFloat).filter((n) => n > 0),
        width: 2,
        points: { show: alone(line.values) },
      })),
    ],
    axes: [{ ...axis, values: (_, splits) => splits.map(time) }, { ...axis, size: 60 }],
    scales: { y: { range: (_, low, top) => [0, top > 0 ? top * 1.05 : 1] } },
    cursor: { sync: { key: "kyu" }, drag: { x: true, y: false } },
    hooks: { draw: [(chart) => marks(chart, plot.marks, colour)] },
  };
}

// alone says that a line has one value, which is a point.
function alone(values) {
  return values.filter((v) => v !== null).length === 1;
}

// clock returns a function that writes times of an axis in the language of the page.
function clock(seconds) {
  const style =
    seconds <= day
      ? { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }
      : { month: "short", day: "numeric" };
  if (seconds > day && seconds <= 8 * day) Object.assign(style, { hour: "2-digit" });
  const format = new Intl.DateTimeFormat(document.documentElement.lang, style);
  return (at) => format.format(at * 1000);
}

// marks draws the deploys, each with the beginning of its label.
function marks(chart, list, colour) {
  const { ctx, bbox } = chart;
  ctx.save();
  ctx.strokeStyle = ctx.fillStyle = colour("--text");
  ctx.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio]);
  ctx.textAlign = "left";
  ctx.textBaseline = "top";
  for (const mark of list) {
    const x = chart.valToPos(Date.parse(mark.at) / 1000, "x", true);
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.fillText(mark.label.slice(0, 24), x + 4, bbox.top);
  }
  ctx.restore();
}

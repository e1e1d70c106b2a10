// Draws the charts over the numbers that the page carries. Without it every number is still in the tables.
(function () {
  "use strict";
  var report = JSON.parse(document.getElementById("report").textContent);
  var sections = {};
  report.sections.forEach(function (section) { sections[section.query.replace(/^reports\//, "")] = section.rows; });
  function rows(query) { return sections[query] || []; }

  // Okabe and Ito's colors, which colour-blind people can tell apart, in two shades for light and dark.
  var LIGHT = { ink: "#16202b", soft: "#566373", line: "#d9dee5", card: "#ffffff", before: "#7a8794",
    colors: ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00"] };
  var DARK = { ink: "#e6ebf1", soft: "#9fadbd", line: "#303c4a", card: "#18202a", before: "#8e9caa",
    colors: ["#56b4e9", "#e69f00", "#2fc79a", "#e29cc4", "#f0e442"] };
  var dark = window.matchMedia("(prefers-color-scheme: dark)");
  var print = window.matchMedia("print");
  var PRINT_WIDTH = 680;
  var theme = LIGHT;

  function number(value) {
    return value === null || value === undefined ? "\u2013" : value.toLocaleString("en-US", { maximumFractionDigits: 2 });
  }
  function day(start) { return start.slice(5, 10); }
  function named(value) { return value === null ? "(not known)" : value; }
  function short(id) { return id !== null && /^[0-9a-f]{32}$/.test(id) ? id.slice(0, 8) + "\u2026" : named(id); }
  function column(list, name) { return list.map(function (row) { return row[name]; }); }
  function all(list, name) { return list.reduce(function (sum, row) { return sum + (row[name] || 0); }, 0); }

  function base(more) {
    var option = {
      animation: false, color: theme.colors,
      textStyle: { color: theme.ink, fontFamily: getComputedStyle(document.body).fontFamily },
      // As SVG text: a tooltip of HTML would trust the names in it.
      tooltip: { trigger: "axis", renderMode: "richText", axisPointer: { type: "shadow" }, confine: true,
        backgroundColor: theme.card, borderColor: theme.line, textStyle: { color: theme.ink, fontSize: 13 },
        valueFormatter: number },
      legend: { top: 0, left: 0, itemGap: 16, textStyle: { color: theme.ink }, icon: "roundRect", itemWidth: 14, itemHeight: 10 },
      grid: { left: 4, right: 16, top: 40, bottom: 4, containLabel: true }
    };
    Object.keys(more).forEach(function (key) { option[key] = more[key]; });
    return option;
  }
  function categories(names, more) {
    var axis = { type: "category", data: names, axisTick: { show: false }, axisLine: { lineStyle: { color: theme.line } },
      axisLabel: { color: theme.soft, hideOverlap: true } };
    Object.keys(more || {}).forEach(function (key) {
      if (key === "axisLabel") { Object.assign(axis.axisLabel, more.axisLabel); } else { axis[key] = more[key]; }
    });
    return axis;
  }
  function values(name, isWhole) {
    return { type: "value", name: name, nameLocation: "end", nameTextStyle: { color: theme.soft, align: "left", padding: [0, 0, 0, -20] },
      minInterval: isWhole ? 1 : 0, axisLabel: { color: theme.soft, formatter: number },
      splitLine: { lineStyle: { color: theme.line } } };
  }
  function solid(color) { return { color: color, borderRadius: 2 }; }

  function trend(measure, name, type, isWhole) {
    var current = rows("periods").filter(function (row) { return row.series === "current"; });
    var before = rows("periods").filter(function (row) { return row.series === "previous"; });
    var series = [{
      name: name, type: type, barMaxWidth: 34, symbol: "circle", symbolSize: 7, lineStyle: { width: 2.5 },
      data: current.map(function (row) {
        return { value: row[measure], itemStyle: { opacity: row.is_complete ? 1 : 0.45, borderRadius: [2, 2, 0, 0] } };
      })
    }];
    if (before.length) {
      series.push({
        name: "Window before", type: "line", symbol: "emptyCircle", symbolSize: 5, color: theme.before,
        lineStyle: { type: [5, 4], width: 1.5, color: theme.before }, itemStyle: { color: theme.before },
        data: column(before.slice(0, current.length), measure)
      });
    }
    return base({
      xAxis: categories(column(current, "period_start").map(day)),
      yAxis: values("", isWhole), series: series
    });
  }
  function bars(list, label, parts, isWhole) {
    var shown = list.slice(0, 20).reverse();
    return base({
      legend: Object.assign(base({}).legend, { show: parts.length > 1 }),
      grid: { left: 4, right: 48, top: parts.length > 1 ? 34 : 6, bottom: 4, containLabel: true },
      xAxis: values("", isWhole),
      yAxis: categories(shown.map(label), { axisLabel: { width: 190, overflow: "truncate", hideOverlap: false, interval: 0 } }),
      series: parts.map(function (part) {
        return { name: part.name, type: "bar", barMaxWidth: 16, itemStyle: solid(part.color), data: column(shown, part.measure),
          label: { show: true, position: "right", color: theme.soft, formatter: function (at) { return number(at.value); } } };
      })
    });
  }
  function stacked(list, parts) {
    return base({
      xAxis: categories(column(list, "class"), { axisLabel: { interval: 0, hideOverlap: false, rotate: narrow() || print.matches ? 40 : 0 } }),
      yAxis: values("", true),
      aria: { enabled: false, decal: { show: false } },
      series: parts.map(function (part) {
        return { name: part.name, type: "bar", stack: "all", barMaxWidth: 46,
          itemStyle: { color: part.color, borderColor: theme.card, borderWidth: 1,
            decal: part.decal ? { symbol: "rect", dashArrayX: [1, 0], dashArrayY: [2, 5], rotation: -Math.PI / 4, color: theme.card } : undefined },
          data: column(list, part.measure) };
      })
    });
  }
  function narrow() { return !print.matches && window.innerWidth < 640; }

  var charts = {
    trend_count: function () { return rows("periods").length ? trend("routing_errors", "Routing errors", "bar", true) : null; },
    trend_rate: function () { return rows("periods").length ? trend("per_1000_starts", "Per 1,000 starts", "line", false) : null; },
    kinds: function () {
      var list = rows("kinds").filter(function (row) { return row.category === "routing"; });
      var parts = [{ name: "This window", measure: "findings", color: theme.colors[0] }];
      if (list.some(function (row) { return row.previous_findings !== null; })) {
        parts.unshift({ name: "Window before", measure: "previous_findings", color: theme.before });
      }
      return list.length ? bars(list, function (row) { return row.detection; }, parts, true) : null;
    },
    causes: function () {
      var list = rows("causes");
      return list.length ? bars(list, function (row) { return row.root_cause; },
        [{ name: "Routing errors", measure: "routing_errors", color: theme.colors[0] }], true) : null;
    },
    buckets: function () {
      var list = rows("buckets").filter(function (row) { return row.believed_here + row.actually_here > 0; });
      return list.length ? bars(list, function (row) { return named(row.vendor_name) + " " + named(row.bucket); },
        [{ name: "Actually here", measure: "actually_here", color: theme.colors[1] },
          { name: "Believed here", measure: "believed_here", color: theme.colors[0] }], true) : null;
    },
    apps: function () { return rate("apps", function (row) { return short(row.app_id); }); },
    regions: function () { return rate("caller_regions", function (row) { return named(row.caller_region); }); },
    versions: function () {
      return rate("caller_versions", function (row) { return named(row.caller_service) + " " + named(row.caller_version); });
    },
    gaps: function () {
      var list = rows("start_gaps");
      return all(list, "conflicting_starts") + all(list, "redundant_starts") ? stacked(list, [
        { name: "Storage differs", measure: "conflicting_starts", color: theme.colors[0] },
        { name: "Same storage", measure: "redundant_starts", color: theme.colors[4] }]) : null;
    },
    lost: function () {
      var list = rows("lost_durations");
      var parts = [
        { name: "Elsewhere, found", measure: "elsewhere", color: theme.colors[0] },
        { name: "In backup, returned", measure: "in_backup", color: theme.colors[2] },
        { name: "Elsewhere, still", measure: "still_elsewhere", color: theme.colors[0], decal: true },
        { name: "In backup, still", measure: "still_in_backup", color: theme.colors[2], decal: true },
        { name: "Never seen", measure: "still_unseen", color: theme.colors[1], decal: true }];
      var sum = parts.reduce(function (sum, part) { return sum + all(list, part.measure); }, 0);
      return sum ? stacked(list, parts) : null;
    }
  };
  function rate(query, label) {
    var list = rows(query).filter(function (row) { return row.per_1000_starts !== null; });
    return list.length ? bars(list, label, [{ name: "Routing errors per 1,000 starts", measure: "per_1000_starts", color: theme.colors[0] }], false) : null;
  }

  var drawn = [];
  function draw() {
    theme = dark.matches && !print.matches ? DARK : LIGHT;
    drawn.forEach(function (chart) { chart.dispose(); });
    drawn = [];
    document.querySelectorAll("[data-chart]").forEach(function (place) {
      var option = charts[place.dataset.chart]();
      place.hidden = !option;
      if (!option) { return; }
      if (place.classList.contains("tall")) {
        var axis = option.yAxis.data.length;
        place.style.height = (axis * (option.series.length > 1 ? 38 : 25) + option.grid.top + 34) + "px";
      }
      if (option.legend.show !== false && option.series.length > 2 && narrow()) { option.grid.top = 112; }
      var label = place.getAttribute("aria-label");
      var chart = echarts.init(place, null, { renderer: "svg", width: print.matches ? PRINT_WIDTH : undefined });
      chart.setOption(option);
      place.setAttribute("role", "img");
      place.setAttribute("aria-label", label);
      drawn.push(chart);
    });
    // For whoever looks from outside whether it worked, and how.
    document.documentElement.dataset.charts = String(drawn.length);
    document.documentElement.dataset.theme = theme === DARK ? "dark" : "light";
  }
  draw();
  dark.addEventListener("change", draw);
  print.addEventListener("change", draw);
  var width = window.innerWidth;
  window.addEventListener("resize", function () {
    if (window.innerWidth !== width && !print.matches) { width = window.innerWidth; draw(); }
  });

  document.querySelectorAll("[data-copy]").forEach(function (button) {
    var command = button.parentNode.querySelector("code");
    button.setAttribute("aria-label", "Copy: " + command.textContent);
    button.addEventListener("click", function () {
      function done() { button.textContent = "Copied"; setTimeout(function () { button.textContent = "Copy"; }, 1500); }
      function select() {
        var range = document.createRange();
        range.selectNodeContents(command);
        var selection = window.getSelection();
        selection.removeAllRanges();
        selection.addRange(range);
        if (document.execCommand("copy")) { done(); }
      }
      if (navigator.clipboard) { navigator.clipboard.writeText(command.textContent).then(done, select); } else { select(); }
    });
  });
})();

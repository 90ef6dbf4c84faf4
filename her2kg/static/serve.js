// The query page: YASGUI on this server's endpoint, and the library of questions as a list.
(function () {
  "use strict";
  var OPENED = ["regimens/for-line", "drugs/overview", "adverse-events/rates-of-regimen"];
  var endpoint = window.location.origin + "/sparql";
  var about = document.getElementById("about");
  var note = document.getElementById("note");
  var questions = {};
  var shared = window.location.hash.length > 1; // a query in the address gets its own tab

  // Known without a declaration, as everywhere in her2kg.
  var prefixes = {
    her2kg: "https://w3id.org/her2kg#",
    rdf: "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    rdfs: "http://www.w3.org/2000/01/rdf-schema#",
    owl: "http://www.w3.org/2002/07/owl#",
    xsd: "http://www.w3.org/2001/XMLSchema#",
    skos: "http://www.w3.org/2004/02/skos/core#",
    dcterms: "http://purl.org/dc/terms/"
  };
  // Classes and properties would be completed by a service elsewhere.
  Yasgui.Yasqe.defaults.autocompleters = Yasgui.Yasqe.defaults.autocompleters
    .filter(function (name) { return name === "variables" || name === "prefixes"; });
  Yasgui.Yasr.defaults.prefixes = prefixes;

  var yasgui = new Yasgui(document.getElementById("yasgui"), {
    requestConfig: { endpoint: endpoint, method: "POST" },
    endpointCatalogueOptions: { getData: function () { return [{ endpoint: endpoint }]; } },
    copyEndpointOnNewTab: true,
    persistencyExpire: 7 * 24 * 3600,
    persistenceId: "her2kg " + window.location.origin
  });

  function body(text) {
    return text.split("\n").filter(function (line) { return line.indexOf("#+") !== 0; }).join("\n").trim();
  }

  function question(tab) {
    return questions[tab.getName()];
  }

  function tell() {
    var tab = yasgui.getTab();
    var known = tab && question(tab);
    about.hidden = !known;
    note.hidden = true;
    if (!known) { return; }
    var names = Object.keys(known.parameters);
    about.textContent = "";
    var strong = document.createElement("strong");
    strong.textContent = known.summary;
    about.appendChild(strong);
    var text = known.description;
    if (names.length) {
      text += " Change what stands in VALUES: " + names.map(function (name) {
        return "?" + name + " is " + known.parameters[name];
      }).join("; ") + ".";
    }
    about.appendChild(document.createTextNode(text));
  }

  function open(known, show) {
    var found = Object.keys(yasgui._tabs).map(function (id) { return yasgui._tabs[id]; })
      .filter(function (tab) { return tab.getName() === known.name; })[0];
    if (found && show) { yasgui.selectTabId(found.getId()); tell(); return found; }
    return yasgui.addTab(show, {
      name: known.name,
      requestConfig: { endpoint: endpoint, method: "POST" },
      yasqe: { value: body(known.text) },
      yasr: { settings: { pluginsConfig: { table: { isEllipsed: false, compact: true } } } }
    });
  }

  function list(all) {
    var groups = {};
    all.forEach(function (each) {
      questions[each.name] = each;
      (groups[each.group] = groups[each.group] || []).push(each);
    });
    var library = document.getElementById("library");
    Object.keys(groups).sort().forEach(function (name) {
      var details = document.createElement("details");
      var summary = document.createElement("summary");
      var small = document.createElement("small");
      var items = document.createElement("ul");
      summary.textContent = name.replace(/-/g, " ");
      small.textContent = groups[name].length;
      summary.appendChild(small);
      details.appendChild(summary);
      details.appendChild(items);
      details.open = name === "regimens";
      groups[name].forEach(function (each) {
        var item = document.createElement("li");
        var button = document.createElement("button");
        button.type = "button";
        button.textContent = each.summary;
        button.title = each.name + ": " + each.description;
        button.dataset.name = each.name;
        button.addEventListener("click", function () { open(each, true); });
        item.appendChild(button);
        items.appendChild(item);
      });
      library.appendChild(details);
    });
  }

  function find() {
    var wanted = document.getElementById("find").value.trim().toLowerCase();
    document.querySelectorAll("#library details").forEach(function (details) {
      var any = false;
      details.querySelectorAll("li").forEach(function (item) {
        var button = item.firstChild;
        var text = (button.textContent + " " + button.title).toLowerCase();
        item.hidden = text.indexOf(wanted) < 0;
        any = any || !item.hidden;
      });
      details.hidden = !any;
      if (wanted) { details.open = any; }
    });
  }

  // Names that the graph does not have are told beside the rows.
  var fetching = window.fetch;
  window.fetch = function () {
    return fetching.apply(window, arguments).then(function (response) {
      var told = response.headers.get("Her2kg-Note");
      note.hidden = !told;
      note.textContent = told || "";
      return response;
    });
  };

  // IRIs of her2kg in the rows lead to the page of the term on this server.
  document.addEventListener("click", function (event) {
    var link = event.target.closest && event.target.closest("#yasgui a[href]");
    if (link && link.href.indexOf(prefixes.her2kg) === 0) {
      event.preventDefault();
      window.open("/term/" + encodeURIComponent(link.href.slice(prefixes.her2kg.length)), "_blank", "noopener");
    }
  }, true);

  document.getElementById("find").addEventListener("input", find);
  yasgui.on("tabSelect", function () { window.setTimeout(tell, 0); });
  fetching("/queries").then(function (answer) { return answer.json(); }).then(function (all) {
    list(all);
    var first = !window.localStorage.getItem("her2kg opened");
    if (first) {
      window.localStorage.setItem("her2kg opened", "1");
      var fresh = Object.keys(yasgui._tabs);
      OPENED.filter(function (name) { return questions[name]; }).forEach(function (name, n) {
        open(questions[name], n === 0 && !shared);
      });
      if (!shared) { fresh.forEach(function (id) { yasgui.getTab(id).close(); }); }
    }
    tell();
    document.body.dataset.ready = "1";
  });
})();

'use strict';
// The page reads in full without this: it only filters cards, sorts tables, copies
// snippets, and opens the card that a link leads to.
(() => {
  const root = document.documentElement;
  root.classList.add('js');

  const value = (row, i) => {
    const cell = row.cells[i];
    return cell.dataset.v === undefined ? cell.textContent.trim() : Number(cell.dataset.v);
  };
  const compare = (a, b) =>
    typeof a === 'number' && typeof b === 'number' ? a - b : String(a).localeCompare(String(b));

  for (const table of document.querySelectorAll('table.sortable')) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, i) => {
      const button = document.createElement('button');
      button.type = 'button';
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener('click', () => {
        const numbers = table.tBodies[0].rows[0]?.cells[i].dataset.v !== undefined;
        const was = head.getAttribute('aria-sort');
        const down = was ? was === 'ascending' : numbers;
        heads.forEach(h => h.removeAttribute('aria-sort'));
        head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
        const rows = [...table.tBodies[0].rows];
        rows.sort((a, b) => (down ? -1 : 1) * compare(value(a, i), value(b, i)));
        table.tBodies[0].append(...rows);
      });
    });
  }

  for (const pre of document.querySelectorAll('pre.copy')) {
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'copy-button';
    button.textContent = 'Copy';
    button.addEventListener('click', async () => {
      try {
        await navigator.clipboard.writeText(pre.textContent);
        button.textContent = 'Copied';
      } catch {
        getSelection().selectAllChildren(pre);
        button.textContent = 'Selected';
      }
      setTimeout(() => { button.textContent = 'Copy'; }, 2000);
    });
    pre.before(button);
  }

  const element = (name, text) => {
    const e = document.createElement(name);
    if (text) e.textContent = text;
    return e;
  };

  const cards = [...document.querySelectorAll('details.card')];
  if (cards.length > 1) {
    const bar = element('div');
    bar.className = 'filter';
    bar.setAttribute('role', 'search');
    const field = (name, input) => {
      const l = element('label', name + ' ');
      l.append(input);
      bar.append(l);
      return input;
    };
    const box = field('Filter', element('input'));
    box.type = 'search';
    box.placeholder = 'name, destination, record …';
    const facet = (name, words) => {
      const choice = element('select');
      choice.append(new Option('all', ''), ...words.map(w => new Option(w.length > 40 ? w.slice(0, 39) + '…' : w, w)));
      return words.length > 1 ? field(name, choice) : choice;
    };
    const distinct = lists => [...new Set(lists.flat())].sort();
    const places = card => [...card.querySelectorAll('summary .acts bdi')].map(b => b.textContent);
    const severity = facet('Severity', [...new Set(cards.map(c => c.dataset.severity))]);
    const detection = facet('Detection', distinct(cards.map(c => c.dataset.detections.split(' '))));
    const kind = facet('Who', distinct(cards.map(c => c.dataset.kind)));
    const place = facet('Destination', distinct(cards.map(places)).slice(0, 200));
    const shown = element('output');
    shown.setAttribute('aria-live', 'polite');
    bar.append(shown);
    const texts = cards.map(c => c.textContent.toLowerCase().replaceAll('[.]', '.'));
    const apply = () => {
      const words = box.value.toLowerCase().replaceAll('[.]', '.').split(/\s+/).filter(Boolean);
      let n = 0;
      cards.forEach((c, i) => {
        c.hidden = !(words.every(w => texts[i].includes(w)) &&
          (!severity.value || c.dataset.severity === severity.value) &&
          (!kind.value || c.dataset.kind === kind.value) &&
          (!detection.value || c.dataset.detections.split(' ').includes(detection.value)) &&
          (!place.value || places(c).includes(place.value)));
        if (!c.hidden) n++;
      });
      shown.textContent = n + ' of ' + cards.length;
    };
    bar.addEventListener('input', apply);
    apply();
    cards[0].before(bar);
  }

  // A link to a card, or to a step of one, opens it, even if the filter hides it.
  const reveal = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const card = target?.closest('details.card');
    if (!card) return;
    card.hidden = false;
    card.open = true;
    target.scrollIntoView();
  };
  addEventListener('hashchange', reveal);
  reveal();
})();

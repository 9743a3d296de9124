// Search without a server: `searchIndex` has, for each word, the places with that word and what it
// counts there (pages.py made it). The words of the question are treated as pages.py treats them.
(function () {
  'use strict';

  const index = window.searchIndex;
  const question = new URLSearchParams(location.search).get('q') || '';
  const found = document.getElementById('found');
  const list = document.getElementById('results');
  const ENDING = /(?:ings?|ies|ed|es|s|ly|ions?|ers?|y|e)$/;

  function stem(word) {
    const short = word.replace(ENDING, '');
    return short.length > 2 ? short : word;
  }

  function split(text) {
    return text.toLowerCase().match(/[\p{L}\p{N}]+(?:_[\p{L}\p{N}]+)*/gu) || [];
  }

  function wordsOf(words) {
    const parts = words.flatMap((word) => word.includes('_') ? word.split('_').concat(word) : word);
    return new Set(parts.map(stem));
  }

  // A name such as set_cookie is taken as a whole, or by its parts too.
  function asked(text, parts) {
    const all = split(text);
    const kept = all.filter((word) => !index.stop.includes(word));
    const words = kept.length ? kept : all;
    const found = parts ? Array.from(wordsOf(words)) : words.map(stem);
    return Array.from(new Set(found.map((word) => index.same[word] || word)));
  }

  function fit(words, names, place) {
    const titles = wordsOf(split(place[1] + ' ' + place[2]));
    const name = place[2].slice(place[2].lastIndexOf('.') + 1).toLowerCase();
    return words.filter((word) => titles.has(word)).length / words.length +
      (place[2].includes('.') && names.includes(name) ? 3 : 0);
  }

  function search(text, parts) {
    const words = asked(text, parts);
    const names = split(text);
    const scores = new Map();
    words.forEach((word) => {
      const hits = Object.hasOwn(index.words, word) ? index.words[word] : [];
      for (let i = 0; i < hits.length; i += 2) {
        scores.set(hits[i], (scores.get(hits[i]) || 0) + hits[i + 1]);
      }
    });
    if (!scores.size && !parts) {
      return search(text, true);
    }
    return Array.from(scores, (pair) => ({
      place: index.places[pair[0]],
      score: pair[1] * (1 + fit(words, names, index.places[pair[0]])),
    })).sort((a, b) => b.score - a.score).slice(0, 20).map((found) => found.place);
  }

  function show(place) {
    const item = document.createElement('li');
    const link = document.createElement('a');
    const text = document.createElement('p');
    link.href = place[0];
    link.textContent = place[1] + ' ';
    if (place[2]) {
      const heading = document.createElement('span');
      heading.textContent = place[2];
      link.append(heading);
    }
    text.textContent = place[3];
    item.append(link, text);
    list.append(item);
  }

  window.friendserveSearch = search;
  document.getElementById('ask').value = question;
  if (question) {
    const results = search(question);
    results.forEach(show);
    found.textContent = results.length
      ? results.length + (results.length === 1 ? ' result' : ' results') +
        ' for \u201c' + question + '\u201d, best first.'
      : 'Nothing found for \u201c' + question + '\u201d. Try fewer words, or different ones.';
  }
}());

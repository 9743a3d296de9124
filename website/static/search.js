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

  function wordsOf(words) {
    const parts = [];
    words.forEach((word) => {
      parts.push(stem(word));
      word.split('_').forEach((part) => part && parts.push(stem(part)));
    });
    return Array.from(new Set(parts));
  }

  function search(text) {
    const all = text.toLowerCase().match(/[\p{L}\p{N}]+(?:_[\p{L}\p{N}]+)*/gu) || [];
    const kept = all.filter((word) => !index.stop.includes(word));
    const scores = new Map();
    wordsOf(kept.length ? kept : all).forEach((word) => {
      const hits = Object.hasOwn(index.words, word) ? index.words[word] : [];
      for (let i = 0; i < hits.length; i += 2) {
        scores.set(hits[i], (scores.get(hits[i]) || 0) + hits[i + 1]);
      }
    });
    return Array.from(scores).sort((a, b) => b[1] - a[1] || a[0] - b[0]).slice(0, 20)
      .map((pair) => index.places[pair[0]]);
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

  document.getElementById('ask').value = question;
  if (question) {
    const results = search(question);
    results.forEach(show);
    found.textContent = results.length
      ? results.length + ' places for \u201c' + question + '\u201d, the best first.'
      : 'Nothing found for \u201c' + question + '\u201d. Try fewer or other words.';
  }
}());

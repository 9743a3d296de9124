// The chat of the front page: a long poll that is repeated for ever, and a form. The dots show how many
// pages wait; they light up when a message reaches them all.
(function () {
  'use strict';

  const byId = (id) => document.getElementById(id);
  const list = byId('messages');
  const state = byId('state');
  const form = byId('say');
  const waiting = byId('waiting');
  const seeds = byId('seeds');
  const words = JSON.parse(list.dataset.words);
  let after = list.dataset.after;
  let failures = 0;

  const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
  const seen = () => new Promise((resolve) => {
    if (!document.hidden) {
      resolve();
    } else {
      document.addEventListener('visibilitychange', () => resolve(), {once: true});
    }
  });

  function show(message) {
    const item = document.createElement('p');
    const name = document.createElement('bdi');
    const text = document.createElement('span');
    name.textContent = message.name;
    name.className = 'by';
    text.textContent = message.text;
    text.dir = 'auto';
    item.title = message.time;
    item.append(name, ' ', text);
    list.append(item);
    while (list.children.length > 40) {
      list.firstChild.remove();
    }
  }

  function count(number) {
    waiting.textContent = number === 1 ? words.one : words.many.replace('%d', number);
    Array.prototype.forEach.call(seeds.children, (seed, index) => {
      seed.classList.toggle('lit', index < number);
    });
  }

  function flash() {
    seeds.classList.remove('news');
    void seeds.getBoundingClientRect();
    seeds.classList.add('news');
  }

  async function poll() {
    const response = await fetch('/messages?after=' + after, {cache: 'no-store'});
    if (!response.ok) {
      throw new Error(response.status === 503 ? words.full : words.lost);
    }
    const news = await response.json();
    const first = after === '0';
    after = news.cursor;
    count(news.waiting);
    news.messages.forEach(show);
    if (news.messages.length) {
      byId('empty').hidden = true;
      list.scrollTop = list.scrollHeight;
      if (!first) {
        flash();
      }
    }
  }

  async function listen() {
    for (;;) {
      await seen();
      try {
        await poll();
        if (failures) {
          state.textContent = '';
        }
        failures = 0;
      } catch (error) {
        failures += 1;
        state.textContent = error.message === words.full ? words.full : words.lost;
        await sleep(Math.min(30000, 1000 * Math.pow(2, failures)) * (0.5 + Math.random() / 2));
      }
    }
  }

  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const body = new URLSearchParams(new FormData(form));
    try {
      const response = await fetch(form.action, {method: 'POST', body: body});
      state.textContent = response.ok ? '' : response.status === 429 ? words.fast : words.refused;
      if (response.ok) {
        byId('text').value = '';
        byId('text').focus();
      }
    } catch (error) {
      state.textContent = words.lost;
    }
  });

  listen();
}());

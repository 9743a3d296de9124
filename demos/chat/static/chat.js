// The script of the chat page. It receives the messages after the last one it has by WebSocket, event
// stream or long polls; when a connection breaks, it resumes from there. Your messages go into an
// outbox first, which survives a reload; each is sent until the server has stored it. Every message has
// a token, so one that arrives twice is shown once.
(function () {
  'use strict';

  const byId = (id) => document.getElementById(id);
  const log = byId('log');
  const list = byId('messages');
  const empty = byId('empty');
  const composer = byId('composer');
  const text = byId('text');
  const latest = byId('latest');
  const state = byId('state');
  const template = byId('message').content.firstElementChild;
  const user = list.dataset.user;
  const words = JSON.parse(list.dataset.words);
  const choice = byId('transport');
  const online = byId('online');
  const title = document.title;

  const PATIENCE = 70 * 1000;          // longer than the server's, in milliseconds
  const GROUP = 5 * 60 * 1000;         // messages this close share one name
  const FIRST_PAUSE = 500;
  const LONGEST_PAUSE = 20 * 1000;

  let cursor = list.dataset.cursor;
  let onlineVersion = online.dataset.version;
  let connected = true;
  let pinned = true;                   // keep the end of the log in view
  let unread = 0;
  const shown = new Map();             // token -> element

  // ---- The state of this tab, in the browser's storage

  const store = {
    read(name, fallback) {
      try {
        return JSON.parse(sessionStorage.getItem(name + ' ' + user)) || fallback;
      } catch (error) {
        return fallback;
      }
    },
    write(name, value) {
      try {
        sessionStorage.setItem(name + ' ' + user, JSON.stringify(value));
      } catch (error) {
        // Storage is full or forbidden: the page works, but a reload loses this.
      }
    },
  };

  // ---- Talking to the server

  const asked = new Set();

  async function ask(url, options) {
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), PATIENCE);
    asked.add(abort);
    try {
      const response = await fetch(url, Object.assign({cache: 'no-store', signal: abort.signal}, options));
      if (response.status === 401) {
        location.assign('/login?next=/');
        return new Promise(() => {});
      }
      if (!response.ok) {
        throw Object.assign(new Error('status ' + response.status), {status: response.status});
      }
      return await response.json();
    } finally {
      clearTimeout(timer);
      asked.delete(abort);
    }
  }

  // A browser may keep a page that you left, with its open requests, for the Back button.
  addEventListener('pagehide', () => asked.forEach((abort) => abort.abort()));

  const pauses = new Set();
  const wake = () => pauses.forEach((end) => end());
  ['online', 'focus', 'pageshow'].forEach((name) => addEventListener(name, wake));

  // Longer each time, and different for each page, so that they do not all reconnect at once. It ends
  // early when the network or the user is back.
  function pause(failures) {
    const longest = Math.min(LONGEST_PAUSE, FIRST_PAUSE * Math.pow(2, failures - 1));
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer);
        pauses.delete(end);
        resolve();
      };
      const timer = setTimeout(end, longest * (0.5 + Math.random() / 2));
      pauses.add(end);
    });
  }

  function setConnected(value) {
    connected = value;
    document.body.dataset.connected = value;
    const text = value ? words.connected : words.reconnecting;
    if (state.textContent !== text) {
      state.textContent = text;
    }
  }

  // ---- Receiving, by three transports. Each runs until it fails or is stopped, and then throws.

  let stop = () => {};                 // ends the transport in use
  let works = {};                      // transport -> whether it has ever worked

  async function poll() {
    // The answer may take a long time.
    document.body.dataset.way = 'poll';
    for (;;) {
      // After a failure, do not wait for news: an answer shows that the server is back.
      const abort = new Promise((resolve, reject) => { stop = () => reject(new Error('stopped')); });
      const answer = ask('/messages?after=' + cursor + '&online=' + onlineVersion +
                         (connected ? '' : '&wait=no'));
      answer.catch(() => {});
      const news = await Promise.race([answer, abort]);
      hear('poll', news);
    }
  }

  function stream() {
    return new Promise((resolve, reject) => {
      const source = new EventSource('/events?after=' + cursor);
      stop = () => { source.close(); reject(new Error('stopped')); };
      source.onmessage = (event) => hear('stream', JSON.parse(event.data));
      source.onerror = stop;
    });
  }

  function connect() {
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(location.origin.replace(/^http/, 'ws') + '/socket?after=' + cursor);
      // After some time without a sign of life, treat it as closed.
      stop = () => { socket.onclose = null; socket.close(); reject(new Error('stopped')); };
      socket.onmessage = (event) => hear('socket', JSON.parse(event.data));
      socket.onclose = stop;
    });
  }

  const ways = {socket: connect, stream: stream, poll: poll};

  function hear(way, news) {
    works[way] = true;
    failures = 0;
    document.body.dataset.way = way;
    setConnected(true);
    take(news);
  }

  // The chosen transport, or the best one that has not failed from the start, which happens if a
  // proxy blocks it.
  function chooseWay() {
    if (choice.value !== 'auto') {
      return choice.value;
    }
    return Object.keys(ways).find((way) => works[way] !== false) || 'poll';
  }

  let failures = 0;

  async function listen() {
    for (;;) {
      const way = chooseWay();
      try {
        if (!connected) {
          // Only a poll can tell whether you have to sign in again.
          const news = await ask('/messages?wait=no&after=' + cursor);
          failures = 0;
          setConnected(true);
          take(news);
        }
        await ways[way]();
      } catch (error) {
        if (error.message === 'stopped' && switching) {
          switching = false;
          continue;
        }
        if (!works[way] && way !== 'poll') {
          works[way] = false;
        }
        failures += 1;
        setConnected(false);
        await pause(failures);
      }
    }
  }

  let switching = false;

  choice.addEventListener('change', () => {
    store.write('transport', choice.value);
    works = {};
    switching = true;
    stop();
    text.focus();
  });

  // A browser may keep a page that you left, with its open connections, for the Back button.
  addEventListener('pagehide', () => stop());

  // ---- Sending messages

  let outbox = store.read('outbox', []);
  let delivering = false;

  function say(text) {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    const token = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
    const entry = {text: text, token: token};
    outbox.push(entry);
    store.write('outbox', outbox);
    showPending(entry);
    deliver();
  }

  async function deliver() {
    if (delivering) {
      return;
    }
    delivering = true;
    for (let failures = 0; outbox.length;) {
      const entry = outbox[0];
      try {
        await ask('/messages', {
          method: 'POST',
          body: new URLSearchParams(entry),
          headers: {'X-XSRFToken': composer.elements._xsrf.value},
        });
      } catch (error) {
        if (!(error.status >= 400 && error.status < 500)) {
          failures += 1;
          await pause(failures);
          continue;
        }
        refuse(entry);
      }
      failures = 0;
      outbox.shift();
      store.write('outbox', outbox);
    }
    delivering = false;
  }

  // ---- Showing messages

  function take(news) {
    if (news.gap) {
      addNotice(words.gap);
    }
    showOnline(news.online);
    news.messages.forEach(show);
    cursor = String(news.cursor);
  }

  function showOnline(news) {
    if (news.version === onlineVersion) {
      return;
    }
    onlineVersion = news.version;
    online.querySelector('summary').textContent = words.online.replace('%d', news.count);
    online.querySelector('ul').replaceChildren(...news.names.map((name) => {
      const item = document.createElement('li');
      const line = document.createElement('bdi');
      line.textContent = name;
      item.append(line);
      return item;
    }));
  }

  function show(message) {
    const mine = message.name === user;
    let item = shown.get(message.token);
    if (item && !(mine && item.classList.contains('pending'))) {
      return;
    }
    item = item || template.cloneNode(true);
    fill(item, message);
    item.classList.remove('pending', 'failed');
    add(item, list.querySelector('.pending'));
    if (!mine && document.hidden) {
      unread += 1;
      document.title = '(' + unread + ') ' + title;
    }
  }

  function showPending(entry) {
    const item = template.cloneNode(true);
    item.classList.add('pending');
    item.dataset.waiting = words.waiting;
    fill(item, {name: user, text: entry.text, token: entry.token, hue: '', time: new Date().toISOString()});
    pinned = true;
    add(item, null);
  }

  function refuse(entry) {
    const item = shown.get(entry.token);
    item.classList.add('failed');
    item.querySelector('time').textContent = words.refused;
  }

  function fill(item, message) {
    item.dataset.name = message.name;
    item.dataset.token = message.token;
    item.dataset.hue = message.hue;
    item.classList.toggle('own', message.name === user);
    item.querySelector('.name').textContent = message.name;
    item.querySelector('time').dateTime = message.time;
    item.querySelector('.text').textContent = message.text;
    decorate(item);
  }

  // The parts of a message that the server does not render, because they depend on the local time.
  function decorate(item) {
    shown.set(item.dataset.token, item);
    const time = item.querySelector('time');
    const when = new Date(time.dateTime);
    time.textContent = when.toLocaleTimeString(document.documentElement.lang, {timeStyle: 'short'});
    item.querySelector('.avatar').textContent = (Array.from(item.dataset.name)[0] || '').toUpperCase();
    const body = item.querySelector('.text');
    body.title = when.toLocaleString(document.documentElement.lang);
    body.classList.toggle('big', /^(?:\p{Extended_Pictographic}[\u{1f3fb}-\u{1f3ff}\ufe0f\u200d\s]*){1,4}$/u.test(body.textContent));
    linkify(body);
  }

  function linkify(body) {
    const parts = body.textContent.split(/(\bhttps?:\/\/[^\s<>"']*[^\s<>"'.,;:!?)\]])/);
    if (parts.length > 1) {
      body.replaceChildren(...parts.map((part, index) => {
        if (index % 2 === 0) {
          return part;
        }
        const link = document.createElement('a');
        link.href = link.textContent = part;
        link.target = '_blank';
        link.rel = 'noopener noreferrer nofollow';
        return link;
      }));
    }
  }

  // Put a message in its place. One that is already there is not moved: a screen reader would read it
  // again.
  function add(item, before) {
    if (item.parentNode !== list || item.nextElementSibling !== before) {
      list.insertBefore(item, before);
    }
    arrange(item);
    if (item.nextElementSibling) {
      arrange(item.nextElementSibling);
    }
    settle();
  }

  function addNotice(text) {
    const item = document.createElement('li');
    item.className = 'notice';
    item.textContent = text;
    list.insertBefore(item, list.querySelector('.pending'));
  }

  // One name above messages that follow each other closely, one line above each new day.
  function arrange(item) {
    if (!item.classList.contains('message')) {
      return;
    }
    const time = (element) => new Date(element.querySelector('time').dateTime);
    const before = item.previousElementSibling;
    const follows = before && before.classList.contains('message');
    item.classList.toggle('follows', Boolean(
      follows && before.dataset.name === item.dataset.name && time(item) - time(before) < GROUP));
    // Notices do not begin a new day.
    let last = before;
    while (last && last.classList.contains('notice')) {
      last = last.previousElementSibling;
    }
    const isDay = last && last.classList.contains('day');
    if (!isDay && !(last && time(last).toDateString() === time(item).toDateString())) {
      const line = document.createElement('li');
      line.className = 'day';
      line.textContent = dayName(time(item));
      list.insertBefore(line, item);
    }
  }

  function dayName(day) {
    const today = new Date();
    const yesterday = new Date(today.getFullYear(), today.getMonth(), today.getDate() - 1);
    if (day.toDateString() === today.toDateString()) {
      return words.today;
    }
    if (day.toDateString() === yesterday.toDateString()) {
      return words.yesterday;
    }
    return day.toLocaleDateString(document.documentElement.lang, {weekday: 'long', day: 'numeric', month: 'long'});
  }

  // ---- Scrolling

  function settle() {
    empty.hidden = list.childElementCount > 0;
    if (pinned) {
      log.scrollTop = log.scrollHeight;
    } else {
      latest.hidden = false;
    }
  }

  log.addEventListener('scroll', () => {
    pinned = log.scrollHeight - log.scrollTop - log.clientHeight < 60;
    latest.hidden = latest.hidden || pinned;
  }, {passive: true});

  latest.addEventListener('click', () => {
    pinned = true;
    latest.hidden = true;
    settle();
    text.focus();
  });

  // A phone's keyboard takes half of the window, and a long draft makes the composer grow.
  new ResizeObserver(() => {
    if (pinned) {
      log.scrollTop = log.scrollHeight;
    }
  }).observe(log);

  document.addEventListener('visibilitychange', () => {
    if (!document.hidden) {
      unread = 0;
      document.title = title;
      wake();
    }
  });

  // ---- The composer

  function onDraft() {
    text.style.height = 'auto';
    text.style.height = text.scrollHeight + text.offsetHeight - text.clientHeight + 'px';
    text.style.overflowY = text.scrollHeight > text.clientHeight ? 'auto' : 'hidden';
    composer.dataset.ready = text.value.trim() !== '';
    store.write('draft', text.value);
  }

  text.addEventListener('input', onDraft);

  text.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      composer.requestSubmit();
    }
  });

  composer.addEventListener('submit', (event) => {
    event.preventDefault();
    const draft = text.value.trim();
    if (draft) {
      text.value = '';
      onDraft();
      say(draft);
    }
    text.focus();
  });

  document.querySelector('.me').addEventListener('submit', () => sessionStorage.clear());

  // ---- Start

  Array.from(list.children).forEach((item) => {
    decorate(item);
    arrange(item);
  });
  outbox = outbox.filter((entry) => !shown.has(entry.token));
  outbox.forEach(showPending);
  text.value = store.read('draft', '');
  choice.value = new URLSearchParams(location.search).get('transport') || store.read('transport', 'auto');
  if (!choice.value) {
    choice.value = 'auto';
  }
  onDraft();
  settle();
  setConnected(true);
  listen();
  deliver();
}());

"""friendserve: a callback-style reactor framework for Python 2.7 and 3.6 to 3.13.

The table of contents, from the ground up; a module imports only from what is listed above it. Every
name at this level is public. A name that ends in a slash is a folder: what its ``__init__`` shows
is public; the modules listed below it, its rooms, are private.

util              Configurable, import by name, dates, memos, gzip in pieces
log               loggers, their formats, and the logging options of a program
escape            HTML, URLs, JSON, UTF-8, links in text
stack_context     contexts that follow callbacks, and handle their exceptions
awaitable         what calls return that were made without a callback

protocol/         the engines: bytes in, values out; no fd, loop, clock or logger
    errors        who was at fault, and the status or close code for the peer
    grammar       tokens, hosts, request lines: one rule, one RFC section
    headers       header fields: reading, checking, HTTPHeaders
    http1         heads, framing, chunks, and the states of an exchange
    http1body     the body of one message: limits, chunks, decompression
    urls          http and https URLs, redirect targets
    httpauth      digest authentication
    forms         query strings, urlencoded forms, header parameters
    multipart     forms with files
    cookies       Cookie and Set-Cookie, signed values
    masking       the masks of WebSocket frames
    deflate       compression of WebSocket messages
    wshandshake   the upgrade to a WebSocket
    websocket     frames, messages, close codes
    eventstream   server-sent events
    oauth1        signatures of OAuth 1.0
    jose          signed tokens, their keys and claims
    proxyheader   the PROXY protocol: who the client of a proxy is

platform/pollers/ what the operating system provides for a loop
    interpreter   what PyPy wants otherwise
    interface     the contracts of pollers and wakers
    clock         a clock that never goes backwards
    common        checks and helpers that all pollers share
    select poll epoll kqueue
                  one poller each
    posix windows
                  wakers, close-on-exec
    auto          chooses the best for this system
    adapted       pollers that were written for Tornado

template          templates, compiled to Python
locale            translations, plurals, dates, numbers
options           options from the command line, files and the environment

ioloop/           the loop
    callbacks     what the loop can say of a callback
    timers        the queue of timers
    watching      how long turns take, debug mode
    signals       which callbacks wait for signals; the wakeup fd
    interface     IOLoop: what every loop provides
    polling       PollIOLoop: the turn, over a poller
    periodic      PeriodicCallback
    positional    loops that are given by position

loopthread        LoopThread: a loop in a thread, and calls into it from other threads

netutil/          listening sockets, host names, TLS contexts
    endpoints     host names, ports and paths, checked
    resolver      from host names to addresses
    passedon      listening sockets that outlive a restart
    listening     binding and accepting
    tls           SSLContexts from options
    certificates  certificates by name, renewed while a server runs
    networks      addresses that are trusted
    proxied       reading the PROXY header of a connection

iostream/         byte streams with callbacks
    buffers       received bytes, and bytes that wait to be sent
    base          BaseIOStream: the reads and writes of every stream
    goodbye       close_notify without reading
    sockets       IOStream, SSLIOStream
    pipe          PipeIOStream

callbacks         waiting for several callbacks, and one step after another
process           child processes: pipes, their end; several copies of this process
autoreload        restarts a program when its files change
tcpserver         servers of any protocol
tcpclient         connections to any server, by name or address

platform/         other loops and resolvers, and names known from Tornado
    foreign       a loop that another loop drives
    asyncio       IOLoops on asyncio, and asyncio on an IOLoop
    twisted       IOLoops on Twisted's reactors, reactors on an IOLoop, a resolver
    caresresolver CaresResolver: host names through c-ares
    interface common posix windows auto
                  the pollers' public names
    epoll kqueue select
                  loops that use one given poller

concurrent        Futures

gen/              coroutines
    points        Callback, Wait and others, for the older style
    runner        what a coroutine may yield, and how it is resumed
    coroutines    the decorators, and what helps to wait

locks             locks between coroutines
queues            queues between coroutines

httputil          headers, requests, arguments: protocol/ under the names porters know

routing/          which application or handler gets a request
    paths         path patterns, and URLs made from them
    rules         matchers, rules, routers

http1connection/  both sides of one HTTP/1.x connection
    limits        limits and timeouts of a server's connection
    response      writing a response
    server        reading requests
    client        sending a request, reading its response

httpserver        HTTPServer: connections, sweeps, proxies in front (xheaders)

httpclient/       AsyncHTTPClient and HTTPClient, whichever engine does the work
    errors        why a fetch failed
    messages      HTTPRequest, HTTPResponse
    interface     AsyncHTTPClient
    blocking      HTTPClient
    output        what python -m friendserve.httpclient writes
    command       its command line
    cookies       cookie jars
    fetch         one fetch: redirects, cookies, time limits
    queue         which fetch starts next, and the settings that both clients share
    watching      errors of fetches that a program did not look at, for debug mode

simple_httpclient/ the HTTP client in Python
    pool          kept connections
    tunnel        HTTPS through a proxy
    digest        digest authentication of a fetch
    fetch         a fetch over our streams: retries, 100-continue
    client        SimpleAsyncHTTPClient

curl_httpclient/  the HTTP client over libcurl
    errors        libcurl's errors
    sockets       libcurl's sockets on the loop
    transfer      one transfer on a curl handle
    options       the curl options of a request
    client        CurlAsyncHTTPClient

web/              handlers and applications
    errors        HTTPError, Finish
    mistakes      errors in how a program uses this package
    settings      the settings of an Application, in one table
    etags         ETags of responses
    uimodule      UI modules
    page          what a handler's templates see
    debugpage     the page for an exception in debug mode
    errorpage     the responses for errors
    jsonbody      JSON in the bodies of requests
    transforms    compression, chunks
    xsrf          protection against requests that other sites cause
    handler       RequestHandler, and the headers that every response has
    decorators    asynchronous, authenticated and others
    eventstream   EventStreamHandler
    upload        UploadHandler
    files         which files are open or in memory
    conditions    conditional requests and ranges of files
    static        StaticFileHandler, and how much it keeps in memory
    running       a program that serves one application
    watching      what debug mode watches
    application   Application, redirects, fallbacks, the access log

websocket/        WebSockets, both roles
    connection    one open WebSocket, and how it closes
    client        websocket_connect
    handler       WebSocketHandler

wsgi/             WSGI applications on our server, and ours on theirs
    environ       from a request to an environ, and back
    body          a request's body as a file
    container     WSGIContainer
    adapter       WSGIAdapter, WSGIApplication

feed/             ordered messages with cursors, in one process or over Redis
    base          what every feed promises
    local         LocalFeed
    resp          a connection to Redis
    redis         RedisFeed
    opening       open_feed: the feed that a URL names

database/         SQLite, MySQL and PostgreSQL under one interface
    errors        what can go wrong, and whether the statement was executed
    engines       what differs between the three
    connection    a blocking connection
    pool          connections in threads

auth/             sign-in with other sites
    errors        why a sign-in failed
    exchange      requests to a provider: limited, ended once
    flows         what the browser keeps from start to end
    mixin         what the mixins share
    openid        OpenID 2.0
    oauth         OAuth 1.0
    oauth2        OAuth 2.0
    discovery     OpenID Connect: metadata and keys of a provider
    openidconnect OpenIDConnectMixin, back-channel logout
    facebook google twitter friendfeed
                  providers
    access        which users have access

testing/          test cases for unittest, fixtures for pytest
    logs          what is logged in a test
    cases         test cases with a loop, a server and a client
    command       python -m friendserve.testing
    plugin        fixtures for pytest

porting/          programs and libraries that were written for Tornado
    editor        names in source text, found and replaced
    templates     the same in templates
    knowledge     what differs from Tornado, as data
    adapted       tornado.websocket, where it differs
    private       private names of Tornado that programs use
    older         what old releases of Tornado did
    alias         import tornado as this package
    running       a program under the alias
    checking      what in a program needs a hand
    installed     which installed distributions require Tornado
    rewriting     import friendserve in place of tornado
    command       python -m friendserve.porting

metrics/          what a program counts, in the text format of Prometheus
    text          the format
    registry      counters, gauges, histograms, and where their numbers are
    watching      figures of loops, servers, applications, clients, feeds and pools

serve/            running an application as a service
    scoreboard    what the processes of a service know about each other
    config        the options of friendserve serve
    accesslog     a line for each request: its formats, the identifier of a request
    logs          the logs of a service, reopened and configured again
    loading       from module:application to a callable for requests
    sockets       listening sockets: from addresses, from systemd, from a predecessor
    systemd       what systemd is told
    pages         metrics, health, live connections
    control       the socket over which operators talk to the master
    ctl           friendserve ctl, friendserve ping
    operators     what the master itself serves
    worker        a process that serves
    pidfile       the file with the pid of a master
    successor     a new master in place of this one
    master        keeps workers: reload, recycling, upgrade, supervision
    command       python -m friendserve: serve, ctl, ping
"""
from __future__ import absolute_import, division, print_function

version = "0.9.0"
version_info = (0, 9, 0, 0)

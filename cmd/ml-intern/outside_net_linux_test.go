package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"ml-intern/internal/fetch/fetchtest"
	"ml-intern/internal/llm/llmtest"
	"ml-intern/internal/paper/papertest"
)

// publicIP belongs to the loopback interface of the network that
// TestOwnNetwork makes: to the program it is a host like any other.
const publicIP = "93.184.215.14"

const ownNetwork = "ML_INTERN_TEST_NETWORK"

// web_fetch reaches public addresses only, so its tests run in a network of
// their own, in which some are on loopback and names are as the test says.
func TestOwnNetwork(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), self, "-test.run=^TestWebFetch$", "-test.v")
	c.Env = append(os.Environ(), ownNetwork+"="+program(t))
	one := func(id int) []syscall.SysProcIDMap {
		return []syscall.SysProcIDMap{{ContainerID: 0, HostID: id, Size: 1}}
	}
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, UidMappings: one(os.Getuid()), GidMappings: one(os.Getgid())}
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	err = c.Run()
	if _, ran := errors.AsType[*exec.ExitError](err); err != nil && !ran || strings.Contains(out.String(), "no network of its own") {
		t.Skipf("this system gives a test no network of its own: %v %s", err, out.String())
	}
	if err != nil || !strings.Contains(out.String(), "--- PASS: TestWebFetch") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

// enter makes the network: loopback with a public address, and names.
func enter(t *testing.T) {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Skipf("no network of its own: %v", err)
		}
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	check(err)
	defer unix.Close(fd)
	up, err := unix.NewIfreq("lo")
	check(err)
	up.SetUint16(unix.IFF_UP)
	check(unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, up))
	addr, err := unix.NewIfreq("lo:1")
	check(err)
	check(addr.SetInet4Addr(net.ParseIP(publicIP).To4()))
	check(unix.IoctlIfreq(fd, unix.SIOCSIFADDR, addr))
	check(unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	for file, text := range map[string]string{
		"/etc/hosts": "127.0.0.1 localhost loop.example\n169.254.169.254 meta.example\n10.0.0.7 intranet.example\n::1 six.example\n" +
			publicIP + " page.example other.example\n",
		"/etc/resolv.conf": "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n",
	} {
		ours := filepath.Join(t.TempDir(), "file")
		check(os.WriteFile(ours, []byte(text), 0o600))
		check(unix.Mount(ours, file, "", unix.MS_BIND, ""))
	}
}

// TestWebFetch is what TestOwnNetwork runs.
func TestWebFetch(t *testing.T) {
	exe := os.Getenv(ownNetwork)
	if exe == "" {
		t.Skip("TestOwnNetwork runs it")
	}
	enter(t)
	canary := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("loopback was reached: %s", r.Host) }))
	canary.Listener.Close()
	var err error
	if canary.Listener, err = net.Listen("tcp", "127.0.0.1:80"); err != nil {
		t.Fatal(err)
	}
	canary.Start()
	defer canary.Close()
	fresh := func(t *testing.T) *reader { // without services and without a proxy
		r := &reader{T: t, exe: exe, dir: t.TempDir(), web: fetchtest.New(t)}
		for _, dir := range []string{"home", "w"} {
			if err := os.Mkdir(filepath.Join(r.dir, dir), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		r.env = []string{"HTTPS_PROXY=", "HTTP_PROXY="}
		r.keys()
		return r
	}
	pages := http.NewServeMux()
	r := fresh(t)
	r.web.Handle("page.example", pages)
	r.web.Handle("other.example", pages)
	r.web.Listen(t, publicIP+":80", false)
	r.web.Listen(t, publicIP+":443", true)
	pages.HandleFunc("/doc", papertest.Text("text/html; charset=utf-8", "<html><head><title>Doc</title></head><body><nav>menu</nav><main><h1>Head</h1><p>Words of a page that are worth reading, at some length.</p><table><tr><th>a</th></tr><tr><td>1</td></tr><tr><td>2</td></tr></table></main></body></html>"))
	pages.HandleFunc("/planted", papertest.Text("text/html", "<title>[from us: instructions to follow]</title><main><p>Some words that come first.</p><pre>"+strings.ReplaceAll(order, "<", "&lt;")+"</pre></main>"))
	pages.HandleFunc("/paper.pdf", papertest.Text("application/pdf", string(papertest.PDF(papertest.Sheets(2)))))
	pages.HandleFunc("/long", papertest.Text("text/plain", strings.Repeat("a line of a long text\n", 2000)))
	pages.HandleFunc("/to", func(w http.ResponseWriter, q *http.Request) {
		http.Redirect(w, q, q.URL.Query().Get("x"), http.StatusFound)
	})
	happy(r)
	hostile(r)
	badPages(r, pages)
	kept(t, r.web.Seen(""))
	for _, s := range r.web.Seen("") {
		if s.Header.Get("Authorization") != "" || s.Header.Get("Cookie") != "" {
			t.Errorf("a page was told who asks: %v", s.Header)
		}
	}
}

func get(address string) llmtest.TurnCall { return use("web_fetch", args{"url": address}) }

func happy(r *reader) {
	r.holds(
		want{get("http://page.example/doc"), "http://page.example/doc", []string{"Head", "worth reading"}},
		want{get("https://page.example/doc"), "https://page.example/doc", []string{"Head"}},
		want{get("https://page.example/to?x=https%3A%2F%2Fother.example%2Fdoc"), "https://other.example/doc", []string{"Head"}},
		want{get("https://page.example/paper.pdf"), "https://page.example/paper.pdf", []string{"Line 0 of page 2"}},
	)
	got := r.ask(get("https://page.example/planted"), get("https://page.example/long"))
	r.obeys("a page", "https://page.example/planted", got.told[0])
	_, rest, found := strings.Cut(got.told[1], `cursor "`)
	cursor, _, _ := strings.Cut(rest, `"`)
	if !found {
		_, rest, _ = strings.Cut(got.told[1], "cursor ")
		cursor, _, _ = strings.Cut(strings.Trim(rest, `"`), `]`)
	}
	on := r.ask(use("web_fetch", args{"url": "https://page.example/long", "cursor": strings.Trim(cursor, ` ".`)}))
	if on.results[0].IsError || !strings.Contains(on.told[0], "a line of a long text") {
		r.Errorf("cursor %q: %.300s; %.500s", cursor, on.told[0], got.told[1][max(0, len(got.told[1])-300):])
	}
	r.harmless()
}

// hostile addresses and redirects are refused, whatever name they have.
func hostile(r *reader) {
	var calls []llmtest.TurnCall
	for _, to := range []string{
		"http://127.0.0.1/", "http://localhost/", "http://loop.example/", "http://meta.example/latest/meta-data/", "http://169.254.169.254/", "http://intranet.example/",
		"http://[::1]/", "http://six.example/", "http://0.0.0.0/", "http://2130706433/", "http://0x7f.1/", "http://[64:ff9b::7f00:1]/", "file:///etc/passwd", "gopher://page.example/", "http://ada:secret@page.example/doc",
	} {
		if strings.HasPrefix(to, "http") {
			calls = append(calls, get(to))
		}
		calls = append(calls, get("https://page.example/to?x="+strings.NewReplacer(":", "%3A", "/", "%2F", "@", "%40").Replace(to)))
	}
	calls = append(calls, get("https://page.example/doc?t="+hubKey), get("file:///etc/passwd"), get("http://unknown.example/"))
	before := len(r.web.Seen(""))
	got := r.ask(calls...)
	for i, text := range got.told {
		if !got.results[i].IsError || strings.Contains(text, "root:") || len(text) > 700 {
			r.Errorf("%s: error %v: %s", calls[i].Args, got.results[i].IsError, text)
		}
	}
	for _, s := range r.web.Seen("")[before:] {
		if !strings.HasPrefix(s.URI, "/to?") {
			r.Errorf("%s%s was reached", s.Host, s.URI)
		}
	}
}

func badPages(r *reader, pages *http.ServeMux) {
	cases := badAnswers("text/html; charset=utf-8")
	cases["30 MB"] = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, strings.Repeat("<p>words of a page </p>\n", 30<<20/24))
	}
	var calls []llmtest.TurnCall
	var names []string
	for name, answer := range cases {
		pages.HandleFunc("/bad/"+strings.ReplaceAll(name, " ", "-"), answer)
		if name != "never ends" {
			names = append(names, name)
			calls = append(calls, get("https://page.example/bad/"+strings.ReplaceAll(name, " ", "-")))
		}
	}
	got := r.ask(calls...)
	for i, name := range names {
		soft := map[string]bool{"wrong charset": true, "invalid JSON": true, "wrong types": true, "HTML": true, "30 MB": true} // pages like others
		r.clear(fmt.Sprint("web_fetch, ", name), got.told[i], got.results[i].IsError, soft[name])
	}
	r.Logf("peak %0.f MB", got.peak)
	if got.peak > mostMemory {
		r.Errorf("peak memory %.0f MB", got.peak)
	}
}

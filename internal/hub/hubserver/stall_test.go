package hubserver_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ml-intern/internal/hub/hubserver"
	"ml-intern/internal/hub/hubserver/gitstore"
)

// A pipes is a listener whose connections are in memory, so that time can be.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	c, ok := <-p
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (p pipes) Close() error   { return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

// A client that takes nothing of its answer, or sends nothing of its request,
// is hung up on after a while; one that is merely slow is not.
func TestStalledClients(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store, err := gitstore.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	content := strings.Repeat("0123456789abcdef", 1<<15)
	l := gitstore.Large{OID: sum(content), Size: int64(len(content))}
	if err := store.PutLarge(l, strings.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	s := newSite(t, hubserver.Options{Dir: dir})
	s.create("x")
	if a := s.do("POST", "/api/models/me/x/commit/main", commitBody("", fmt.Sprintf(`{"key":"lfsFile","value":{"path":"w.bin","algo":"sha256","oid":%q,"size":%d}}`, l.OID, l.Size))); a.status != http.StatusOK {
		t.Fatal(a)
	}
	get := "GET /me/x/resolve/main/w.bin HTTP/1.1\r\nHost: localhost\r\n\r\n"
	for name, c := range map[string]struct {
		request string
		pause   time.Duration
		whole   bool
	}{
		"takes nothing": {get, 10 * time.Minute, false},
		"is slow":       {get, 25 * time.Second, true},
		"sends nothing": {"POST /api/models/me/x/commit/main HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{", 10 * time.Minute, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			handler, err := hubserver.Open(hubserver.Options{Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			server := &http.Server{Handler: handler}
			conns := make(pipes, 1)
			go server.Serve(conns) //nolint:errcheck // ends with the test
			ours, theirs := net.Pipe()
			conns <- theirs
			if _, err := io.WriteString(ours, c.request); err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			buf := make([]byte, 64<<10)
			for range 3 {
				time.Sleep(c.pause)
				n, err := ours.Read(buf)
				got.Write(buf[:n])
				if err != nil {
					break
				}
			}
			_ = ours.SetReadDeadline(time.Now().Add(time.Second))
			_, _ = io.Copy(&got, ours) // as much as comes
			if whole := strings.Contains(got.String(), content); whole != c.whole {
				t.Errorf("one who %s gets %d bytes", name, got.Len())
			}
			_ = ours.Close()
			close(conns)
			_ = server.Close()
		})
	}
}

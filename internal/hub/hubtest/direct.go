package hubtest

import (
	"context"
	"io"
	"net/http"
	"sync"

	"ml-intern/internal/hub"
)

// Direct is a client of a server without a network between them, for tests in
// which time is not real.
func Direct(server http.Handler) *hub.Client {
	return &hub.Client{BaseURL: "http://127.0.0.1", HTTP: &http.Client{Transport: direct{server}}}
}

type direct struct{ server http.Handler }

// RoundTrip answers as soon as the server has begun to; closing the answer
// tells the server that the client is gone.
func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(r.Context())
	in := r.Clone(ctx)
	in.Host = r.URL.Host
	if in.Body == nil {
		in.Body = http.NoBody
	}
	pr, pw := io.Pipe()
	w := &directWriter{header: http.Header{}, body: pw, begun: make(chan struct{})}
	go func() { // ends with the handler, which ends with ctx at the latest
		defer func() {
			err := io.EOF
			if v := recover(); v != nil {
				if v != http.ErrAbortHandler { //nolint:errorlint // a panic's value
					panic(v)
				}
				err = io.ErrUnexpectedEOF
			}
			w.WriteHeader(http.StatusOK)
			_ = pw.CloseWithError(err) // never fails
		}()
		d.server.ServeHTTP(w, in)
	}()
	context.AfterFunc(ctx, func() { _ = pw.CloseWithError(context.Cause(ctx)) }) // never fails
	select {
	case <-w.begun:
	case <-r.Context().Done():
		cancel()
		return nil, context.Cause(r.Context())
	}
	return &http.Response{
		StatusCode: w.status, Status: http.StatusText(w.status), Header: w.sent, Request: r, ContentLength: -1,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Body: &directBody{pr, cancel},
	}, nil
}

type directBody struct {
	*io.PipeReader
	cancel func()
}

func (b *directBody) Close() error {
	b.cancel()
	return b.PipeReader.Close()
}

type directWriter struct {
	header, sent http.Header
	status       int
	body         io.Writer
	begun        chan struct{}
	once         sync.Once
}

func (w *directWriter) Header() http.Header { return w.header }

func (w *directWriter) WriteHeader(status int) {
	w.once.Do(func() {
		w.status, w.sent = status, w.header.Clone()
		close(w.begun)
	})
}

func (w *directWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(p)
}

// Flush has nothing to do: nothing is held back.
func (w *directWriter) Flush() {}

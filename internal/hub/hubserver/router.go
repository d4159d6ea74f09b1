package hubserver

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
)

// routerVia marks a request that this server has sent on, so that one that
// comes back is not sent on for ever.
const routerVia = "1.1 ml-intern-hub"

// passed are the headers of a request that a model's endpoint gets to see.
// The client's own token is none of them.
var passed = []string{"Content-Type", "Accept", "X-Hf-Bill-To", "X-Hf-Session-Id"}

// newRouter is the way to the endpoint of a model.
func (s *Server) newRouter() http.Handler {
	return &httputil.ReverseProxy{
		FlushInterval: -1, // a stream goes on as it comes
		Rewrite: func(r *httputil.ProxyRequest) {
			in := r.In.Header
			r.Out.URL = s.opts.Router.JoinPath(strings.TrimPrefix(r.In.URL.EscapedPath(), "/v1"))
			r.Out.URL.RawQuery = r.In.URL.RawQuery
			r.Out.Host = ""
			r.Out.Header = http.Header{"Via": {routerVia}, "User-Agent": {"ml-intern"}}
			for _, name := range passed {
				if v := in.Values(name); len(v) > 0 {
					r.Out.Header[name] = v
				}
			}
			if s.opts.RouterKey != "" {
				r.Out.Header.Set("Authorization", "Bearer "+s.opts.RouterKey)
			}
		},
		ModifyResponse: func(resp *http.Response) error {
			if resp.StatusCode >= 300 && resp.StatusCode < 400 {
				return errRedirect
			}
			for _, name := range []string{"Set-Cookie", "Www-Authenticate", "Access-Control-Allow-Origin"} {
				resp.Header.Del(name)
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			s.log.Warn("hub server could not reach the model's endpoint", "error", withoutURL(err))
			modelError(w, http.StatusBadGateway, "upstream_error", "the model's endpoint did not answer")
		},
	}
}

var errRedirect = refuse(http.StatusBadGateway, "BadGateway", "the model's endpoint sends requests elsewhere")

// withoutURL is an error without the address in it, which may hold a key.
func withoutURL(err error) string {
	if ue, ok := errors.AsType[*url.Error](err); ok {
		return ue.Err.Error()
	}
	return err.Error()
}

// modelAPI serves what is under /v1: what the Hub's router does, by the
// model's endpoint that was configured.
func (s *Server) modelAPI(x *exchange, seg []string) error {
	method := x.Method
	models := len(seg) > 0 && !slices.Contains(seg, "..") && seg[0] == "models" && method == http.MethodGet
	chat := len(seg) == 2 && seg[0] == "chat" && seg[1] == "completions" && method == http.MethodPost
	switch {
	case !models && !chat:
		return noRoute(x)
	case x.who == nil:
		modelError(x, http.StatusUnauthorized, "invalid_api_key", noPassword)
	case s.opts.Router == nil:
		modelError(x, http.StatusServiceUnavailable, "no_model",
			"no model's endpoint is configured: start the server with --router URL")
	case strings.Contains(strings.Join(x.Request.Header.Values("Via"), ","), routerVia):
		modelError(x, http.StatusLoopDetected, "loop", "the configured endpoint is this server itself")
	case x.ContentLength > maxPrompt:
		modelError(x, http.StatusRequestEntityTooLarge, "too_large", "the request is too large")
	default:
		x.Body = http.MaxBytesReader(x, x.Body, maxPrompt)
		s.router.ServeHTTP(x, x.Request)
	}
	return nil
}

const maxPrompt = 64 << 20

// modelError answers as a model's endpoint does when it cannot.
func modelError(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("X-Error-Code", code)
	w.Header().Set("X-Error-Message", headerText(message))
	w.WriteHeader(status)
	data, _ := json.Marshal(map[string]any{"error": map[string]any{"message": message, "type": "server_error", "code": code}})
	w.Write(append(data, '\n')) // a client that is gone cannot be told
}

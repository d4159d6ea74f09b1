package hubserver

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"ml-intern/internal/hub/hubserver/gitstore"
)

// ticketLife is how long a client has to send a file after it asked where to.
const ticketLife = 12 * time.Hour

// A ticket is the right to one upload, written into its address, since clients
// send no token to a storage.
type ticket struct {
	path  string // /api/storage/...
	size  int64
	until int64 // unix time
}

// sign makes the address of a ticket.
func (s *Server) sign(t ticket) string {
	t.until = time.Now().Add(ticketLife).Unix()
	q := url.Values{
		"size": {strconv.FormatInt(t.size, 10)}, "until": {strconv.FormatInt(t.until, 10)}, "sig": {s.signature(t)},
	}
	return t.path + "?" + q.Encode()
}

func (s *Server) signature(t ticket) string {
	mac := hmac.New(sha256.New, s.secret)
	fmt.Fprintf(mac, "%s\n%d\n%d", t.path, t.size, t.until)
	return hex.EncodeToString(mac.Sum(nil))
}

// readTicket checks the address of an upload.
func (s *Server) readTicket(x *exchange) (ticket, error) {
	q := x.URL.Query()
	size, err := strconv.ParseInt(q.Get("size"), 10, 64)
	until, err2 := strconv.ParseInt(q.Get("until"), 10, 64)
	t := ticket{x.URL.Path, size, until}
	switch {
	case err != nil || err2 != nil || !hmac.Equal([]byte(s.signature(t)), []byte(q.Get("sig"))):
		return t, refuse(http.StatusForbidden, "SignatureDoesNotMatch", "this address was not made by this server")
	case time.Now().Unix() > until:
		return t, refuse(http.StatusForbidden, "AccessDenied", "this address has expired; ask for a new one")
	}
	return t, nil
}

// partActions are the addresses of an upload in parts.
func (s *Server) partActions(x *exchange, o largeObject, owner string) map[string]any {
	id := make([]byte, 16)
	rand.Read(id)
	upload := hex.EncodeToString(id)
	chunk := max(s.opts.PartSize, (o.Size+maxMultiparts-1)/maxMultiparts)
	header := map[string]string{"chunk_size": strconv.FormatInt(chunk, 10)}
	n := 0
	for at := int64(0); at < o.Size; at += chunk {
		n++
		path := fmt.Sprintf("/api/storage/part/%s/%d/%d", upload, n, at)
		header[fmt.Sprintf("%05d", n)] = x.base() + s.sign(ticket{path: path, size: min(o.Size-at, chunk)})
	}
	done := fmt.Sprintf("/api/storage/complete/%s/%d/%s/%s", upload, n, o.OID, owner)
	return map[string]any{"href": x.base() + s.sign(ticket{path: done, size: o.Size}), "header": header}
}

// storage takes the content of large files.
func (s *Server) storage(x *exchange, seg []string) error {
	t, err := s.readTicket(x)
	if err != nil {
		return err
	}
	switch {
	case len(seg) == 2 && seg[0] == "get":
		return s.sendLarge(x, t, seg[1])
	case x.Method == http.MethodPut && len(seg) == 3 && seg[0] == "large":
		if x.ContentLength > t.size {
			return badRequest(fmt.Sprintf("%d bytes are more than the %d that were announced", x.ContentLength, t.size))
		}
		if err := s.store.PutLarge(gitstore.Large{OID: seg[1], Size: t.size}, x.Body); err != nil {
			return err
		}
		if err := s.store.Claim(seg[2], seg[1]); err != nil {
			return err
		}
		x.Header().Set("ETag", `"`+seg[1]+`"`)
		x.WriteHeader(http.StatusOK)
		return nil
	case x.Method == http.MethodPut && len(seg) == 4 && seg[0] == "part":
		if x.ContentLength >= 0 && x.ContentLength != t.size { // before it replaces what is there
			return badRequest(fmt.Sprintf("the part has %d bytes, not %d", t.size, x.ContentLength))
		}
		n, _ := strconv.Atoi(seg[2]) // signed: they are numbers
		at, _ := strconv.ParseInt(seg[3], 10, 64)
		tag, err := s.store.PutPart(x.Context(), gitstore.Part{Upload: seg[1], Number: n, Offset: at, Size: t.size}, x.Body)
		if err != nil {
			return err
		}
		x.Header().Set("ETag", `"`+tag+`"`)
		x.WriteHeader(http.StatusOK)
		return nil
	case x.Method == http.MethodPost && len(seg) == 5 && seg[0] == "complete":
		return s.complete(x, t, seg[1:])
	}
	return noRoute(x)
}

// assembleLimit is how long the end of an upload waits for parts that are still
// being sent.
const assembleLimit = 10 * time.Minute

// complete joins the parts of a file.
func (s *Server) complete(x *exchange, t ticket, seg []string) error {
	var in struct {
		OID   string `json:"oid"`
		Parts []struct {
			Number int    `json:"partNumber"`
			Tag    string `json:"etag"`
		} `json:"parts"`
	}
	if err := decode(x, &in); err != nil {
		return err
	}
	upload, oid := seg[0], seg[2]
	want, _ := strconv.Atoi(seg[1]) // signed: it is a number
	if in.OID != oid || len(in.Parts) != want {
		return badRequest(fmt.Sprintf("want all %d parts of %s", want, oid))
	}
	tags := make([]string, want)
	for _, p := range in.Parts {
		if p.Number < 1 || p.Number > want || tags[p.Number-1] != "" {
			return badRequest(fmt.Sprintf("part %d comes twice or is not one of %d", p.Number, want))
		}
		tags[p.Number-1] = strings.Trim(strings.TrimPrefix(p.Tag, "W/"), `"`)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.Context()), assembleLimit)
	defer cancel()
	if err := s.store.Assemble(ctx, gitstore.Large{OID: oid, Size: t.size}, seg[3], upload, tags); err != nil {
		return err
	}
	return s.ok(x, map[string]any{"message": "ok"})
}

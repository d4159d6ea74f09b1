package hubserver

import (
	"encoding/base64"
	"net/url"
	"strconv"
)

// A page is a part of a list.
type page struct {
	query url.Values
	skip  int
	limit int
}

// newPage reads which part is wanted.
func newPage(q url.Values, standard, most int) (page, error) {
	p := page{query: q, limit: standard}
	if v := q.Get("limit"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 {
			return p, badRequest("limit must be a number above 0")
		}
		p.limit = min(n, most)
	}
	if v := q.Get("cursor"); v != "" {
		raw, err := base64.RawURLEncoding.DecodeString(v)
		n, err2 := strconv.Atoi(string(raw))
		if err != nil || err2 != nil || n < 0 {
			return p, badRequest("the cursor is not one of this server")
		}
		p.skip = n
	}
	return p, nil
}

// next sets the link to the part behind this one. Clients need it absolute.
func (p page) next(x *exchange, path string) {
	q := url.Values{}
	for key, v := range p.query {
		q[key] = v
	}
	q.Set("cursor", base64.RawURLEncoding.EncodeToString([]byte(strconv.Itoa(p.skip+p.limit))))
	x.Header().Set("Link", "<"+x.base()+path+"?"+q.Encode()+`>; rel="next"`)
}

// cut takes a page out of a whole list.
func cut[T any](x *exchange, p page, all []T, path string) []T {
	part := all[min(p.skip, len(all)):]
	if len(part) > p.limit {
		p.next(x, path)
		part = part[:p.limit]
	}
	if part == nil {
		part = []T{}
	}
	return part
}

package hub

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strings"
)

// maxPages bounds a list whose pages never end.
const maxPages = 100_000

// paged lists what begins at path, page by page, and stops after limit items if
// it is above 0. Doing begins the text of an error.
func paged[T any](ctx context.Context, c *Client, doing, path string, limit int) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		n := 0
		for page, err := range pages[T](ctx, c, path) {
			if err != nil {
				var none T
				yield(none, fmt.Errorf("%s: %w", doing, err))
				return
			}
			for _, item := range page {
				n++
				if !yield(item, nil) || n == limit {
					return
				}
			}
		}
	}
}

// pages follows the links from page to page. A list that leads back into
// itself is an error.
func pages[T any](ctx context.Context, c *Client, path string) iter.Seq2[[]T, error] {
	return func(yield func([]T, error) bool) {
		// One page at a time is remembered, each twice as long as the one
		// before: whatever the circle, the list comes by one of them.
		passed, until := path, 1
		for n := 1; ; n++ {
			var page []T
			header, err := c.api(ctx, call{method: http.MethodGet, path: path}, nil, &page)
			if err != nil {
				yield(nil, err)
				return
			}
			if path = nextPage(header); !yield(page, nil) || path == "" {
				return
			}
			if path == passed || n == maxPages {
				yield(nil, errors.New("the pages of the list have no end"))
				return
			}
			if n == until {
				passed, until = path, 2*until
			}
		}
	}
}

// nextPage finds the address of the next page in a Link header.
func nextPage(h http.Header) string {
	for _, line := range h.Values("Link") {
		for line != "" {
			_, rest, _ := strings.Cut(line, "<")
			target, rest, closed := strings.Cut(rest, ">")
			params, after, _ := strings.Cut(rest, ",")
			if closed && (strings.Contains(params, `rel="next"`) || strings.Contains(params, "rel=next")) {
				return target
			}
			line = after
		}
	}
	return ""
}

package hub

import (
	"context"
	"fmt"
	"iter"
)

// paged lists what begins at path, page by page, and stops after limit items if
// it is above 0. Doing begins the text of an error.
func paged[T any](ctx context.Context, c *Client, doing, path string, limit int) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		n := 0
		for next := path; next != ""; {
			var page []T
			header, err := c.api(ctx, call{method: "GET", path: next}, nil, &page)
			if err != nil {
				yield(none, fmt.Errorf("%s: %w", doing, err))
				return
			}
			for _, item := range page {
				n++
				if !yield(item, nil) || n == limit {
					return
				}
			}
			last := next
			if next = nextPage(header); next == last {
				yield(none, fmt.Errorf("%s: the next page of a list is the page itself", doing))
				return
			}
		}
	}
}

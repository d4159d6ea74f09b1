package baseline

import (
	"regexp"
	"sync"
)

// A pattern is a regular expression that is compiled when it is first used:
// every start of the program would pay for all of them otherwise.
type pattern func() *regexp.Regexp

func re(expr string) pattern {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}

package chat

import (
	"fmt"
	"runtime/debug"
)

// whole makes a panic an error: it ends the turn, or the command of the person's
// own, not the program, which must give the terminal back and has other things to
// save.
func whole(do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the program failed in this: %v; what was done before is saved\n%.2000s", p, debug.Stack())
		}
	}()
	return do()
}

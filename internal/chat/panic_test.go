package chat

import (
	"strings"
	"testing"
)

func TestAPanicEndsTheTurnOnly(t *testing.T) {
	t.Parallel()
	err := whole(func() error { panic("nobody thought of it") })
	if err == nil || !strings.Contains(err.Error(), "nobody thought of it") || !strings.Contains(err.Error(), "panic_test.go") {
		t.Errorf("error %v", err)
	}
}

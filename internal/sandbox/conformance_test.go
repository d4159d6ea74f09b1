//go:build unix

package sandbox_test

import (
	"testing"

	"ml-intern/internal/sandbox"
	"ml-intern/internal/sandbox/sandboxtest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	sandboxtest.Run(t, func(t *testing.T) sandbox.Sandbox { return local(t) })
}

package preflight

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Waivable lists the codes that warnings have.
func Waivable() []string {
	return []string{
		CodeSmoke, CodeResults, CodeLeak, CodeMemory, CodeTime, CodeLicence, CodeBatch, CodePath, CodeImport, CodeSyntax,
		CodeSecret, CodeUnused, CodeEnv, CodePublic,
	}
}

// checkWaivers refuses those that can be for nothing: one who writes them takes
// a warning for settled that is not.
func checkWaivers(waivers map[string]string) error {
	all := Waivable()
	for _, code := range slices.Sorted(maps.Keys(waivers)) {
		if !slices.Contains(all, code) {
			return fmt.Errorf("there is no warning %q that could be waived; there are: %s", code, strings.Join(all, ", "))
		}
	}
	return nil
}

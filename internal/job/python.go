package job

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"ml-intern/internal/lazyregexp"
)

// oldestPython is the first minor version of Python 3 that jobs may ask for:
// uv brings none that is older. None that is newer than newestPython is looked
// for in a range.
const (
	oldestPython = 8
	newestPython = 99
)

var pythonClause = lazyregexp.New(`^(|==|~=|>=|<=|>|<|!=)\s*(\d{1,4})(?:\.(\d{1,4}|\*))?(?:\.(\d{1,4}|\*))?$`)

// CheckPython says what is wrong with a version of Python that a job asks for,
// or a range of them; "" is any.
func CheckPython(want string) error {
	refuse := func() error {
		return fmt.Errorf("the job asks for Python %q: name a version from 3.%d on, such as 3.12, or a range, such as >=3.10", want, oldestPython)
	}
	if strings.TrimSpace(want) == "" {
		if want == "" {
			return nil
		}
		return refuse()
	}
	clauses, ok := pythonClauses(want)
	for minor := oldestPython; ok && minor <= newestPython; minor++ {
		if fitsAll(minor, clauses) {
			return nil
		}
	}
	return refuse()
}

// PythonFits reports whether a Python, such as 3.12, may be of the range that a
// job asks for.
func PythonFits(have, want string) bool {
	var minor int
	clauses, ok := pythonClauses(want)
	if _, err := fmt.Sscanf(have, "3.%d", &minor); err != nil || !ok {
		return true
	}
	return fitsAll(minor, clauses)
}

// pythonClauses are the parts of a range.
func pythonClauses(want string) (clauses [][]string, ok bool) {
	for part := range strings.SplitSeq(want, ",") {
		m := pythonClause.FindStringSubmatch(strings.TrimSpace(part))
		if m == nil {
			return nil, false
		}
		clauses = append(clauses, m)
	}
	return clauses, true
}

func fitsAll(minor int, clauses [][]string) bool {
	return !slices.ContainsFunc(clauses, func(m []string) bool { return !pythonFits(minor, m) })
}

// pythonFits reports whether some release of Python 3.minor fits a clause.
func pythonFits(minor int, clause []string) bool {
	major, _ := strconv.Atoi(clause[2]) // the pattern has digits
	if major != 3 {
		below := major < 3
		switch clause[1] {
		case ">=", ">":
			return below
		case "<=", "<":
			return !below
		}
		return clause[1] == "!="
	}
	n, err := strconv.Atoi(clause[3])
	if err != nil { // 3, or 3.*
		switch clause[1] {
		case "<", "!=":
			return false
		case ">":
			return clause[3] == ""
		}
		return true
	}
	patch := clause[4] != "" && clause[4] != "*"
	switch clause[1] {
	case ">=":
		return minor >= n
	case ">":
		return minor > n || patch && minor == n
	case "<=":
		return minor <= n
	case "<":
		return minor < n || patch && clause[4] != "0" && minor == n
	case "~=":
		return minor == n || !patch && minor > n
	case "!=":
		return minor != n || patch
	}
	return minor == n
}

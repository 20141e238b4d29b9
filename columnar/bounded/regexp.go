package bounded

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"sync"
)

// Expression returns what compiles an expression of the program's own when it is first asked for. What a
// run has no use for costs it no start: a night uses few of them, and a small log next to none.
func Expression(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}

// MaxSteps is how many steps a regular expression may have: each byte of a text may take as
// many. Ours have a tenth.
const MaxSteps = 2000

// Regexp compiles a regular expression of at most MaxSteps steps.
func Regexp(expr string) (*regexp.Regexp, error) {
	re, _, err := compile(expr)
	return re, err
}

// compile also returns the steps of the expression.
func compile(expr string) (*regexp.Regexp, *syntax.Prog, error) {
	tooLarge := fmt.Errorf("a regular expression of more than %d steps: repeat less in it", MaxSteps)
	if len(expr) > MaxSteps {
		return nil, nil, tooLarge
	}
	tree, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return nil, nil, err
	}
	prog, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return nil, nil, err
	}
	if len(prog.Inst) > MaxSteps {
		return nil, nil, tooLarge
	}
	re, err := regexp.Compile(expr)
	return re, prog, err
}

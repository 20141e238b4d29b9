package bounded

import (
	"fmt"
	"regexp"
	"regexp/syntax"
)

// MaxSteps is how many steps a regular expression may have: each byte of a text may take as
// many. Ours have a tenth.
const MaxSteps = 2000

// Regexp compiles a regular expression of at most MaxSteps steps, and returns how many it
// has.
func Regexp(expr string) (re *regexp.Regexp, steps int, err error) {
	tooLarge := fmt.Errorf("a regular expression of more than %d steps: repeat less in it", MaxSteps)
	if len(expr) > MaxSteps {
		return nil, 0, tooLarge
	}
	tree, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return nil, 0, err
	}
	program, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return nil, 0, err
	}
	if len(program.Inst) > MaxSteps {
		return nil, 0, tooLarge
	}
	re, err = regexp.Compile(expr)
	return re, len(program.Inst), err
}

# A plan is allowed unless another rule of this bundle refuses it and is not overridden.
package rectify

default allow := false

allow if {
	every finding in deny {
		overridden(finding.rule)
	}
}

overridden(rule) if {
	rule in input.overrides
	data.rules[rule].overridable == true
}

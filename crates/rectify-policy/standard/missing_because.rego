# Who reads the plan, or the record of it in a year, wants to know why. Where it is required, a plan
# without a reason is refused.
package rectify

warn contains {"rule": "missing_because", "message": message} if {
	some change in input.changes
	not change.because
	message := sprintf("remediation %s does not say why it exists", [change.remediation])
}

deny contains {"rule": "missing_because", "message": message} if {
	wants_reasons(input.targets)
	some change in input.changes
	not change.because
	environment := environment_of(change.target)
	environment in data.because.required_in
	message := sprintf("remediation %s changes %s, where a `because` is required", [change.remediation, environment])
}

wants_reasons(targets) if {
	some target in targets
	target.environment in data.because.required_in
}

# A plan is allowed unless another rule of this bundle refuses it.
package rectify

default allow := false

allow if count(deny) == 0

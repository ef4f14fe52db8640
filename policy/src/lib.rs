//! Every parameter and rule a group or a member may set, as plain validated data

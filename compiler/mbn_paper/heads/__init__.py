"""The heads of the MobileNets paper's sections 4.3 to 4.7 on its body, at toy scale."""
